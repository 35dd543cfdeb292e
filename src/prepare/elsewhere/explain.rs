//! What `rehearsal explain production-from` prints.

/// Whose production is rehearsed.
pub const TEXT: &str = "\
production-from: whose production is rehearsed?

A change under test does not say what production is, nor what may pass. `--production-from REF|DIR`, or
REHEARSAL_PRODUCTION_FROM, takes from the base's rehearsal.yaml, which lies where this one does,

    production, policy, auth.service, auth.issuer

and every file that they name: Compose files, env files, configs, secrets, build contexts, bind mounts, the lock. All
else in rehearsal.yaml is the working tree's.

    --production-from main                a ref of git: a branch, a tag, a commit
    --production-from ../base             the folder of another checkout; it begins with /, ./ or ../

A ref's tree is read from git's objects into a folder of this process's own, which goes with it. Errors call its files
`main:compose.yaml`. Not in a tree, and said where it matters: files of submodules, what Git LFS keeps, links that lead
out of it, and what git does not track, such as an .env that a job writes; a path from / leads to this machine's files.

${VAR} and {secret: …} of the base see the process's environment, then the base's production.env_file; those of the
working tree see both, then its own production.env_file. PWD is the base's folder for the base.

Where neither `candidate` nor `release` is given, the release is production as the working tree has it: what differs
between the two, service by service and file by file, is the candidate. Where nothing does, it is a pass, and its first
line says \"this change alters nothing that runs\". What is behind a tag that moves is not compared: name the image.

Where the base has no rehearsal.yaml, the next above that place holds; where there is none either, the working tree's
does, with a warning: the Compose files that it names are read from the base's tree, and those that are not there are
left out; an env file, an .env and a lock that are not there are the working tree's. Where the base has none of the
Compose files, production is as the working tree says. Where the base has no `auth`, the working tree's holds. Where production, policy or auth say
something else in the working tree, a note says that it holds once it is merged.

In GitHub Actions the input production-from is the base of the pull request (pull_request.base.sha) or of the merge
group (merge_group.base_sha) unless it is given; that commit is fetched where the checkout lacks it. `none` is the
working tree. On other events nothing is taken from elsewhere unless it is asked for.

So no change waives its own failure. A waiver comes in a change of its own, which is merged first; then the other one is
rehearsed again. Suites, auth.login, data, candidate, stages and timeout are the change's: who reviews a change to
rehearsal.yaml looks for tests that went, a lower min_tests, wider budgets, and `forward_only`.
";
