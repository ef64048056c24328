# Two commands: make demo, make test. `make setup` makes the environment in .venv/ and nothing else.
.PHONY: setup demo test lint benchmark clean

setup:
	@sh scripts/setup.sh

demo: setup
	@if [ -n "$$DISPLAY" ]; then sh scripts/system_libraries.sh window; fi
	@.venv/bin/dynview demo

lint: setup
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check --quiet . || { echo "run: .venv/bin/ruff format ."; exit 1; }
	@.venv/bin/mypy

test: setup
	@sh scripts/system_libraries.sh test
	@echo "dynview: checking style and types"
	@$(MAKE) --no-print-directory lint
	@echo "dynview: running the tests (a few minutes; the first run compiles the kernels)"
	@.venv/bin/python -m pytest -n 2 --dist loadfile

benchmark: setup
	@.venv/bin/python -m benchmarks.splat_cpu

clean:
	rm -rf .venv out build dist *.egg-info
