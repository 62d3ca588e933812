# The commands that people and CI use. Each sets up what it needs first, and is safe to repeat.
.PHONY: help setup setup-test setup-clients up test test-clients bench soak
.DEFAULT_GOAL := help

# Where to send the fault campaigns of `make soak`.
SEED ?= 1
COUNT ?= 10

help:
	@echo 'make up           build what is missing and run `klamm up` on the example (ARGS="--for 10s" adds arguments)'
	@echo 'make test         everything that CI runs'
	@echo 'make test-clients every client of the matrix, on real Kafka and on the embedded broker, into docs/broker.md'
	@echo 'make bench        producing, consuming and starting beside Java, into docs/benchmarks.md'
	@echo 'make soak         the tests that break Kafka and the embedded broker, COUNT=$(COUNT) times from SEED=$(SEED)'
	@echo 'make setup        install what building needs (Debian packages)'
	@echo 'make setup-test   also what the tests need: a JDK, Maven, the jars of Kafka, Go'

setup:
	@scripts/setup build

setup-test:
	@scripts/setup test

setup-clients:
	@scripts/setup clients

up: setup
	@echo 'building klamm (the first time takes a few minutes)'
	@cargo build -p klamm-cli
	@cargo run -q -p klamm-cli -- up $(ARGS)

test:
	@started=$$(date +%s) && scripts/setup test && KLAMM_CI_STARTED=$$started cargo xtask ci $(STAGES)

test-clients: setup-clients
	@cargo xtask clients --all --tier real
	@cargo xtask clients --all --record

bench: setup-test
	@cargo xtask bench all

soak: setup-test
	@cargo xtask soak --seed $(SEED) --count $(COUNT)
