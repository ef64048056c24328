# Two commands: make demo, make test. `make setup` makes the environment in .venv/ and nothing else.
.PHONY: setup demo test lint benchmark random clean

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
	@echo "dynview: compiling the kernels (once, a minute or two)"
	@folder=$$(mktemp -d) && .venv/bin/dynview train demo --data.megapixels 0.01 --data.frame-step 8 --scene.points 300 \
		--steps 3 --out $$folder/run >/dev/null 2>&1; rm -rf $$folder
	@echo "dynview: running the tests (twenty minutes; most of it drives the real window)"
	@.venv/bin/python -m pytest -n 2 --dist loadfile --max-worker-restart=0

random: setup
	@sh scripts/system_libraries.sh test
	@DYNVIEW_RANDOM_EVENTS=5000 .venv/bin/python -m pytest tests/test_gui_random.py

benchmark: setup
	@.venv/bin/python -m benchmarks.splat_cpu

clean:
	rm -rf .venv out build dist *.egg-info
