# The targets that make a record, for a project with src/experiment.
.PHONY: experiment study

experiment: $(VENV)/.test ## Build the dataset, train the adapter and evaluate it (about an hour on two cores)
	$(BIN)/python -m src.dataset$(if $(CONFIG), --config $(CONFIG))
	$(BIN)/python -m src.train$(if $(CONFIG), --config $(CONFIG))
	$(BIN)/python -m src.evaluate$(if $(CONFIG), --config $(CONFIG))
	$(BIN)/python -m src.render

study: $(VENV)/.test ## Train and evaluate what is missing of the study, or of STUDY (hours on two cores)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --profile configs/snakemake/local$(if $(STUDY), --config study=$(STUDY))
