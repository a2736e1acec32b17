"""Its import makes the linker known; see `spacy` beside it."""
