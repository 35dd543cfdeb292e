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
    rehearsal lock --from docker --project shop       where several Compose projects run on one engine

A container without a shell answers no probe; its digest is recorded all the same.

From a plain server, through any command that runs `sh` there with the probes on its input:

    rehearsal lock --from web=exec:'ssh web-1'
    rehearsal lock --from web,idp=exec:'ssh web-1' --from db=exec:'ssh db-1'
    rehearsal lock --from web=exec:'ssh host docker exec -i shop-web-1'

A server says more than the container that stands for it: what only the server has is listed as a stand-in. It has no
digest, so what your own release is there, only a probe of your own can tell.

For a provider that is somebody else's (SaaS): its public endpoints, by GET and nothing else. The discovery document
(null where it answers 404), its keys without the keys, and the versions of TLS it accepts are recorded under `auth`:

    rehearsal lock --from docker --auth-issuer https://login.example.com/realms/shop

Its version cannot be read from outside. Write down under `auth.product` what the vendor says, if it says so:

    auth: {product: {name: keycloak, version: 24.0.5}}

From registries, where production cannot be entered: the digests of the images of the Compose files, as they are now:

    rehearsal lock --from registry

Places can be given together; a later one adds to an earlier one. A fact of your own, such as your release's version:

    rehearsal lock --from docker --probe release='cat /srv/shop/VERSION'

It is kept in the lock under `probes` (`command`, and `match`, a regular expression whose group 1 is the fact) and runs
in the mirror too. Commands that stand in the file run on production only with --run-probes.

    rehearsal lock --check --from docker

takes no lock but compares: 0 = production is as the lock has it; 1 = it has moved, each difference on a line of
standard output; 2 = usage; 3 = production or the lock could not be read.
";
