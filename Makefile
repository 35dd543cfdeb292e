# Two commands matter: `make demo` shows what Rehearsal does, `make test` proves it.
.DEFAULT_GOAL := help
# All but tests/long, which has a target for each of its modules. There are no examples in the documentation to be run.
SHORT := --lib --bins --test without_engine --test engine
.PHONY: help demo test test-binaries test-reaper test-parallel test-engines test-worlds test-auth test-load test-probes test-release test-releases test-bare test-readme fuzz mutants lint bench bench-front bench-load bench-mirror bench-report images clean

help:
	@echo 'make demo     block the incident, pass its clean twin; needs an engine, builds the images it lacks'
	@echo 'make test     every test but the long ones, on a real engine'
	@echo 'make test-reaper, test-parallel, test-engines, test-worlds, test-auth, test-load, test-probes, test-release, test-releases,'
	@echo 'make test-bare, test-readme   the long ones: fifty kills, ten runs at once, every other engine, worlds that show'
	@echo '              once more what others show, every world on authentication, releases that are slower than production,'
	@echo '              the products of a lock, the archive and the wheel of a release, releases against docker compose,'
	@echo '              what is installed on a bare Debian, and make demo and make test on one'
	@echo 'make fuzz     looks for inputs that break a reader of what comes from outside: FUZZ_SECONDS=60 for each,'
	@echo '              FUZZ="yaml lock" only these'
	@echo 'make mutants  changes what the verdict stands on, one thing at a time, and asks whether a unit test sees it'
	@echo 'make lint     formatting, clippy, docs, the action, the scripts'
	@echo 'make bench    the incident five times: where the time goes, step by step'
	@echo 'make bench-front    what the front before an authentication product adds to an answer, and how much passes it, as ratios'
	@echo 'make bench-load     load against oha and wrk on one server, as ratios; a server that stalls; what the agent takes'
	@echo 'make bench-mirror   a mirror against the bare API and docker compose, as ratios'
	@echo 'make bench-report   report.html of a record of 100,000 cases'
	@echo 'make images   every image of the fixtures'
	@echo 'make clean    what was built and what runs left behind; images stay'

demo:
	@fixtures/tools.sh cargo
	@fixtures/incident/demo.sh

# More threads than cores: most of a test on the engine is waiting, and slots say how many have a mirror up.
test:
	@fixtures/tools.sh browser cargo curl git kill openssl promtool python ssh
	@$(MAKE) --no-print-directory --jobs 2 images test-binaries
	@fixtures/compose-plugin.sh
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-5} cargo test --locked --no-fail-fast $(SHORT)

# Images wait for the network and a disk, compilers for neither.
test-binaries:
	cargo test --locked --no-run $(SHORT)

lint:
	@fixtures/tools.sh cargo git python
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	# `--examples`, of which there are none: so that the dependencies are those that clippy has just read.
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --lib --examples
	tests/consumers/lint-actions.sh

bench:
	@fixtures/tools.sh cargo python
	@fixtures/incident/bench.sh

bench-front:
	@fixtures/tools.sh cargo
	cargo bench --locked --bench front

bench-load:
	@fixtures/tools.sh cargo wrk
	@benches/load-tools.sh
	cargo bench --locked --bench load

bench-mirror:
	@fixtures/tools.sh cargo
	@fixtures/engine.sh
	@fixtures/compose-plugin.sh
	cargo bench --locked --bench mirror

bench-report:
	@fixtures/tools.sh cargo
	cargo bench --locked --bench report

images:
	@fixtures/engine.sh
	@fixtures/incident/build.sh

clean:
	-@fixtures/engines/docker-28.sh stop
	-@fixtures/incident/binary.sh --built && "$$(fixtures/incident/binary.sh)" down --all
	cargo clean
	rm -rf rehearsal-out

test-reaper:
	@fixtures/tools.sh cargo kill
	@fixtures/engine.sh
	cargo test --locked --test long reaper:: -- --nocapture

test-parallel:
	@fixtures/tools.sh cargo
	@fixtures/engine.sh
	cargo test --locked --test long parallel:: -- --nocapture

# The mirror's own tests on Docker 28 with containerd's images, and all of every other engine.
test-engines: images
	@fixtures/tools.sh cargo kill ssh
	cargo test --locked --no-fail-fast --test long engines::
	fixtures/engines/on-docker-28.sh cargo test --locked --no-fail-fast --test engine -- border:: builds:: mirror:: mirror_compose::

# What the engine's tests leave to the night: worlds that show once more what a neighbour shows.
test-worlds: images
	@fixtures/tools.sh browser cargo curl git kill openssl promtool python ssh
	@fixtures/compose-plugin.sh
	REHEARSAL_ALL_WORLDS=1 RUST_TEST_THREADS=$${RUST_TEST_THREADS:-5} cargo test --locked --no-fail-fast --test engine -- --include-ignored \
		drills:: guards:: interrupts:: lives:: names:: outage:: pulls:: releases:: replicas:: shards:: worlds::

# Every world on the authentication dependency, those that the engine's tests leave to the night among them.
test-auth: images
	@fixtures/tools.sh cargo
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-5} cargo test --locked --no-fail-fast --test engine -- --include-ignored \
		directory:: guards:: outage:: radius:: rotation:: signin:: worlds::a_provider worlds::a_release worlds::its_clean_twin \
		worlds::production_that_fails worlds::sessions worlds::the_incident

# Production's release and a slower one, or one that bears less, side by side, asked in turns for minutes.
test-load:
	@fixtures/tools.sh cargo
	@fixtures/engine.sh
	cargo test --locked --test long load::

# What the lock's probes read, against what Debian says of the same products.
test-probes:
	@fixtures/tools.sh cargo
	@fixtures/engine.sh
	@fixtures/base-images.sh trixie
	docker build --tag rehearsal-test/probes:1 fixtures/probes
	cargo test --locked --test long probes::

# The archive and the wheel as they are released, of the binary that cargo has already: served from this machine, installed in a
# bare Debian, and had by the action.
test-release:
	@fixtures/tools.sh cargo curl git python
	@fixtures/engine.sh
	@fixtures/base-images.sh bookworm
	@fixtures/busybox.sh
	cargo test --locked --test long release::

# Releases of public products, deployed by docker compose and by a rehearsal.
test-releases:
	@fixtures/tools.sh cargo
	@fixtures/engine.sh
	@fixtures/compose-plugin.sh
	cargo test --locked --test long releases::

# Every step that installs something, in containers in which nothing of it is there before; and both commands of the
# README in one. The latter takes an hour.
test-bare:
	@fixtures/bare.sh

test-readme:
	@fixtures/bare.sh readme

FUZZ ?=
FUZZ_SECONDS ?= 60
fuzz:
	@fixtures/tools.sh cargo c++
	REHEARSAL_FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh $(FUZZ)

# An hour or two. What no test sees is either a test that is missing, or goes into tests/mutants/accepted with a reason.
MUTANTS ?=
mutants:
	@fixtures/tools.sh cargo python
	tests/mutants/run.sh $(MUTANTS)
