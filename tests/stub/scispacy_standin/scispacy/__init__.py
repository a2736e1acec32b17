"""See `spacy` beside it."""
