# Two commands matter: `make demo` shows what Rehearsal does, `make test` proves it.
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench images clean

help:
	@echo 'make demo     block the incident, pass its clean twin; needs an engine, builds the images it lacks'
	@echo 'make test     every test, on a real engine'
	@echo 'make lint     formatting, clippy, docs, the action, the scripts'
	@echo 'make bench    the incident five times: where the time goes, step by step'
	@echo 'make images   every image of the fixtures'
	@echo 'make clean    what was built and what runs left behind; images stay'

demo:
	@fixtures/tools.sh cargo
	@fixtures/incident/demo.sh

test: images
	@fixtures/compose-plugin.sh
	@fixtures/tools.sh cargo git python
	@fixtures/compose-plugin.sh
	cargo test --locked --no-fail-fast

lint:
	@fixtures/tools.sh cargo git python
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps
	tests/consumers/lint-actions.sh

bench:
	@fixtures/tools.sh cargo python
	@fixtures/incident/bench.sh

images:
	@fixtures/engine.sh
	@fixtures/incident/build.sh

clean:
	-@fixtures/incident/binary.sh --built && "$$(fixtures/incident/binary.sh)" down --all
	cargo clean
	rm -rf rehearsal-out
