#!/usr/bin/env python3
"""Write goldens.jsonl: what Hugging Face's own `apply_chat_template` makes of templates/.

    python3 -m venv venv && venv/bin/pip install transformers==5.24.0 jinja2==3.1.6
    venv/bin/python make.py

Each line has a template's name, a chat, perhaps a beginning of the answer, and either the text
or the words with which the template refuses the chat. No model and no vocabulary is needed.
"""
import datetime
import json
import pathlib

import jinja2
import tokenizers
import transformers
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent
TOKENS = {
    "llama3": ("<|begin_of_text|>", "<|eot_id|>"),
    "llama31": ("<|begin_of_text|>", "<|eot_id|>"),
    "gemma": ("<bos>", "<eos>"),
    "gemma3": ("<bos>", "<eos>"),
    "phi3": ("<s>", "<|endoftext|>"),
}
# The day on which every chat is held.
DAY = datetime.datetime(2025, 3, 9)


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return DAY


def turns(*texts, system=None):
    roles = ["user", "assistant"]
    chat = [{"role": "system", "content": system}] if system is not None else []
    return chat + [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]


CHATS = {
    "one turn": turns("Why?"),
    "system": turns("Why?", system="Be brief."),
    "several turns": turns("Hi", "Hello!", "And now?", "Now then.", "Go on"),
    "several turns with system": turns("Hi", "Hello!", "And now?", system="Be brief."),
    "more than five turns": turns("1", "2", "3", "4", "5", "6", "7"),
    "Unicode": turns("Fièvre 39 °C 🤒 \u2028 naïve", system="Zürich 患者"),
    "marks in the text": turns("{{ x }} {% if %} {# c #} \"q\" 'a' \\n <b>&amp;</b> [INST] <|eot_id|>"),
    "white space at the ends": turns("\n  a  \n", " b ", "\tc\u00a0\u001c \n", system="  s \n"),
    "empty texts": turns("", "", "", system=""),
    "thoughts": turns("a", "<think>\nhm\n</think>\n\nb", "c"),
    "two user turns in a row": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    "system turn in the middle": turns("a", "b") + [{"role": "system", "content": "c"}],
    "line ends": turns("a\r\nb\rc\n\nd"),
}
PREFILLS = {
    "one turn": ["Because", "Statements:\n- ", " x", "  spaced  ", "Why?"],
    "system": ["Because ", "{\"a\": "],
    "several turns": ["Hello!"],
    "white space at the ends": ["b \n\n"],
}


def main():
    chat_template_utils.datetime = Clock
    out = []
    for path in sorted(HERE.glob("templates/*.jinja")):
        bos, eos = TOKENS.get(path.stem, ("<s>", "</s>"))
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizers.Tokenizer(tokenizers.models.WordLevel({"<unk>": 0}, unk_token="<unk>")),
            bos_token=bos,
            eos_token=eos,
        )
        tokenizer.chat_template = path.read_bytes().decode()
        for name, chat in CHATS.items():
            for prefill in [None, *PREFILLS.get(name, [])]:
                last = [{"role": "assistant", "content": prefill}] if prefill is not None else []
                line = {"template": path.stem, "chat": name, "bos": bos, "eos": eos, "messages": chat}
                if last:
                    line["prefill"] = prefill
                try:
                    line["text"] = tokenizer.apply_chat_template(
                        chat + last,
                        tokenize=False,
                        add_generation_prompt=not last,
                        continue_final_message=bool(last),
                    )
                except jinja2.exceptions.TemplateError as why:
                    line["refused"] = why.message
                except ValueError:
                    line["refused"] = None
                out.append(line)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in out)
    (HERE / "goldens.jsonl").write_text(text, encoding="utf-8", newline="\n")
    print("%d chats by transformers %s and jinja2 %s" % (len(out), transformers.__version__, jinja2.__version__))


if __name__ == "__main__":
    main()
