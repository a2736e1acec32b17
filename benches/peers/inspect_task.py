"""The task of the suite `calls` for Inspect AI: every document once, answers kept."""

from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.solver import generate


@task
def ask():
    documents = json_dataset("documents.jsonl", FieldSpec(input="prompt", id="id"))
    return Task(dataset=documents, solver=generate(cache=True))
