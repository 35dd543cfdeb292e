//! What `rehearsal explain lock` prints.

/// How to take a lock, wherever production runs.
pub const TEXT: &str = "\
lock: what does production run?

production.lock holds production's facts: image digests, and the answers of named probes (OS, glibc, OpenSSL,
languages, databases, brokers, web servers, identity providers, packages). Every run asks the mirror's containers the
same and compares; see `rehearsal explain mirror-fidelity`. Everything here only reads. Review the file in pull requests
like any lock file, and take it again when production moves, or when it is older than production.max_lock_age.

    production: {compose: compose.yaml, lock: production.lock, max_lock_age: 7d}

From a Docker host, for the services of the configuration (or all that bear Compose's labels):

    rehearsal lock --from docker                      the engine of DOCKER_HOST, or the usual socket
    rehearsal lock --from docker:prod                 the engine of the Docker context `prod`
    DOCKER_HOST=ssh://ops@host rehearsal lock         an engine on another machine, over SSH
    rehearsal lock --from docker --project shop       where several Compose projects run on one engine

A container without a shell answers no probe; its digest is recorded all the same.

From a plain server, through any command that runs `sh` there with the probes on its input:

    rehearsal lock --from web=exec:'ssh web-1'
    rehearsal lock --from web,idp=exec:'ssh web-1' --from db=exec:'ssh db-1'
    rehearsal lock --from web=exec:'ssh host docker exec -i shop-web-1'

A server says more than the container that stands for it: what only the server has is listed as a stand-in. It has no
digest, so what your own release is there, only a probe of your own can tell.

For a provider that is somebody else's (SaaS) nothing can be entered. Its public endpoints are read, by handshakes and
GET and nothing else:

    rehearsal lock --from docker --auth-issuer https://login.example.com/realms/shop

Recorded under `auth`: the discovery document (null where it answers 404), its keys without the keys, which of TLS 1.0 to
1.3 it accepts, and its chain: for each certificate who it is for, who signed it and how, the key's size, whether it
names its key and its signer's (ski, aki). A chain that this machine does not trust is read all the same, and `trust`
says why it is not; a company's own authority is given with --ca FILE. Where the server speaks nothing newer than
TLS 1.1, which this program does not speak, the documents are left out and a note says so. Where the mirror answers under
the issuer's name, it follows this: the same versions, the same type of key and signature, a certificate that names its
signer's key or not. What it cannot follow (TLS 1.1 and older, SHA-1, intermediate certificates) is a stand-in in the table.

What stays unknown: its version, and what it does beyond what it advertises (`capabilities`: advertised is read, honoured
and required are unknown). Write down under `auth.product` what the vendor says of its version, if it says so. In the
mirror such a provider can only be stood for by a twin, limited to what was recorded; it is not built yet.

    auth: {product: {name: keycloak, version: 24.0.5}}

From registries, where production cannot be entered: the digests of the images of the Compose files, as they are now:

    rehearsal lock --from registry

Places can be given together; a later one adds to an earlier one. A fact of your own, such as your release's version:

    rehearsal lock --from docker --probe release='cat /srv/shop/VERSION'

It is kept in the lock under `probes` (`command`, and `match`, a regular expression whose group 1 is the fact) and runs
in the mirror too. Commands that stand in the file run on production only with --run-probes.

    rehearsal lock --check --from docker

takes no lock but compares: 0 = production is as the lock has it; 1 = it has moved, each difference on a line of
standard output; 2 = usage; 3 = production or the lock could not be read. Not compared: when the lock was taken, and a
certificate's dates and names, which change whenever it is renewed. Its subject, signer, signature, key and identifiers
are compared, and so are the versions of TLS. What was not asked this time has not moved.

A scheduled workflow that does so every morning, takes the lock again where production has moved, and opens a pull
request with the difference: .github/examples/production-lock.yml in Rehearsal's repository.
";
