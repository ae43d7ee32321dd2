"""Recording a training: the stock Trainer in all its ways gives the answers of its own passes, and nothing changes."""

from __future__ import annotations

import json
import os
import shutil
import socket

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from attnflow import SelectionError, TrainingDynamics, data_map
from attnflow.corpus.dynamics_files import open_dynamics
from attnflow.records.texts import Text
from tests.fresh_process import elsewhere

N, SIZE = 22, 6
"""Texts, so that the last batch is not full; and their tokens."""
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 30}


class Rows(Dataset):
    """Random tokens with labels; a torch data set of dictionaries."""

    def __init__(self, labels, n=N):
        draw = torch.Generator().manual_seed(0)
        self.ids = torch.randint(1, 30, (n, SIZE), generator=draw)
        self.labels = labels

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, row):
        return {"input_ids": self.ids[row], "labels": self.labels[row]}


CLASSES = Rows(torch.randint(0, 3, (N,), generator=torch.Generator().manual_seed(1)))


def classifier(**more):
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig(**SMALL, num_labels=3, **more))


def trainer_of(model, out, *callbacks, data=CLASSES, kind=Trainer, collate=None, **more):
    settings = {"num_train_epochs": 3, "per_device_train_batch_size": 4, "learning_rate": 5e-3} | more
    settings = {"save_strategy": "no", "report_to": [], "disable_tqdm": True, "use_cpu": True} | settings
    arguments = TrainingArguments(str(out), logging_strategy="no", **settings)
    return kind(model, arguments, train_dataset=data, callbacks=list(callbacks), data_collator=collate)


class Truth(TrainerCallback):
    """What a model's classifier answered in training, by its texts, seen by other means than those that are tested."""

    def __init__(self, model, data=CLASSES):
        self.rows = {tuple(ids): row for row, ids in enumerate(data.ids.tolist())}
        self.epochs, self.model = [], model
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        inner.bert.register_forward_pre_hook(self.begin, with_kwargs=True)
        inner.classifier.register_forward_hook(self.end)

    def on_epoch_begin(self, *args, **kwargs):
        self.epochs.append({})

    def begin(self, module, args, kwargs):
        self.ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]

    def end(self, module, args, output):
        if module.training:
            self.epochs[-1] |= {
                self.rows[tuple(ids)]: logits
                for ids, logits in zip(self.ids.tolist(), output.detach().float().tolist(), strict=True)
            }


def compare(folder, truth, names=str):
    """See that what was recorded is what was answered."""
    found = open_dynamics(folder)
    assert found.notes == () and len(found.epochs) == len(truth)
    for column, epoch in enumerate(truth):
        assert set(epoch) == set(range(N))
        for row, logits in epoch.items():
            place = [str(guid) for guid in found.guid].index(names(row))
            np.testing.assert_allclose(found.logits[place, column], logits, rtol=2e-6, atol=1e-7)
            assert found.gold[place] == CLASSES.labels[row]


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"gradient_accumulation_steps": 3},
        {"bf16": True},
        {"label_smoothing_factor": 0.1},
        {"dataloader_num_workers": 2},
        {"activation_checkpointing": True},
    ],
    ids=lambda more: next(iter(more), "plain"),
)
def test_a_step_is_recorded_as_it_was_and_changes_nothing(tmp_path, more):
    plain, model = classifier(), classifier()
    trainer_of(plain, tmp_path / "out", **more).train()
    truth = Truth(model)
    trainer_of(model, tmp_path / "out", truth, TrainingDynamics(tmp_path / "dynamics"), **more).train()
    compare(tmp_path / "dynamics", truth.epochs)
    assert torch.equal(weights(plain), weights(model))
    assert sorted(path.name for path in (tmp_path / "dynamics").iterdir()) == [
        f"dynamics_epoch_{epoch}.jsonl" for epoch in range(3)
    ]
    model(input_ids=CLASSES.ids[:2])  # watched no more
    assert not model._forward_pre_hooks


def test_it_is_read_by_whoever_reads_the_files_of_cartography(tmp_path):
    trainer_of(classifier(), tmp_path / "out", TrainingDynamics(tmp_path / "dynamics")).train()
    line = json.loads((tmp_path / "dynamics" / "dynamics_epoch_1.jsonl").read_text().splitlines()[0])
    assert set(line) == {"guid", "logits_epoch_1", "gold"} and len(line["logits_epoch_1"]) == 3
    assert line["gold"] == CLASSES.labels[line["guid"]]
    assert len(data_map(tmp_path / "dynamics")) == N


@pytest.mark.parametrize("column", ["guid", "sentence"])
def test_a_data_set_with_columns_that_no_model_takes(tmp_path, column):
    from datasets import Dataset as Table

    table = Table.from_dict(
        {"input_ids": CLASSES.ids.tolist(), "label": CLASSES.labels.tolist(), column: [f"t{row}" for row in range(N)]}
    )
    model = classifier()
    truth = Truth(model)
    names = [Text(f"row {row}", "a") for row in range(N)]
    recorder = TrainingDynamics(tmp_path / "dynamics", texts=names, compress=True)
    trainer_of(model, tmp_path / "out", truth, recorder, data=table).train()
    compare(tmp_path / "dynamics", truth.epochs, lambda row: f"row {row}")
    assert (tmp_path / "dynamics" / "dynamics_epoch_0.jsonl.gz").is_file()


def test_an_epoch_is_recorded_without_dropout_and_changes_nothing(tmp_path):
    plain, model = classifier(), classifier()
    trainer_of(plain, tmp_path / "out").train()
    after = []

    class Before(TrainerCallback):
        def on_epoch_end(self, *args, model, **kwargs):
            model.classifier.eval()  # whoever freezes a part keeps it so

    class After(TrainerCallback):
        def on_epoch_end(self, *args, model, **kwargs):
            modes = [module.training for module in model.modules()]
            assert model.training and not model.classifier.training
            model.eval()
            with torch.no_grad():
                after.append(dict(enumerate(model(input_ids=CLASSES.ids).logits.tolist())))
            for module, mode in zip(model.modules(), modes, strict=True):
                module.training = mode

    recorder = TrainingDynamics(tmp_path / "dynamics", mode="epoch")
    trainer_of(model, tmp_path / "out", Before(), recorder, After()).train()
    compare(tmp_path / "dynamics", after)
    assert torch.equal(weights(plain), weights(model))


@pytest.mark.parametrize("mode", ["step", "epoch"])
@pytest.mark.parametrize("at", [4, 6])
def test_a_resumed_training_goes_on_with_its_record(tmp_path, at, mode):
    """From the middle of epoch 0, and from its end; what another course of the training recorded later is forgotten."""
    out, folder = tmp_path / "out", tmp_path / "dynamics"
    saving = {"save_strategy": "steps", "save_steps": 2}
    whole = classifier()
    trainer_of(whole, out, TrainingDynamics(folder, mode=mode), **saving).train()
    expected = open_dynamics(folder)
    for path in folder.glob("*_2*"):
        path.write_text("what came of it before\n")
    model = classifier()
    again = trainer_of(model, out, TrainingDynamics(folder, mode=mode), **saving)
    again.train(resume_from_checkpoint=str(out / f"checkpoint-{at}"))
    found = open_dynamics(folder)
    assert torch.equal(weights(whole), weights(model))
    order = [found.guid.index(guid) for guid in expected.guid]
    np.testing.assert_allclose(found.logits[order], expected.logits, atol=1e-6)


def test_a_training_that_broke_off_keeps_what_was_saved(tmp_path):
    class Broken(TrainerCallback):
        def on_step_end(self, args, state, *rest, **kwargs):
            if state.global_step == 9:
                raise KeyboardInterrupt

    recorder = TrainingDynamics(tmp_path / "dynamics")
    saving = {"save_strategy": "steps", "save_steps": 2}
    with pytest.raises(KeyboardInterrupt):
        trainer_of(classifier(), tmp_path / "out", recorder, Broken(), **saving).train()
    found = open_dynamics(tmp_path / "dynamics")
    assert found.recorded.sum(0).tolist() == [N, 8]  # two steps of the second epoch
    with pytest.raises(SelectionError, match="Epoch 1 has 8 of 22 texts: it was broken off"):
        data_map(tmp_path / "dynamics")


def train_as_two(top):
    """This process and one that it forks train together, as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    other = os.fork()
    rank = str(int(other == 0))
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": rank, "LOCAL_RANK": rank}
    os.environ |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    failed = 1
    try:
        for mode in ("step", "epoch"):
            recorder = TrainingDynamics(top / mode, mode=mode)
            trainer_of(classifier(), top / "out", recorder, ddp_backend="gloo").train()
        torch.distributed.destroy_process_group()
        failed = 0
    finally:
        if other == 0:
            os._exit(failed)
    assert os.waitpid(other, 0)[1] == 0


def test_a_training_of_several_processes(tmp_path):
    """Two processes of this machine, each with its part; the same texts and a part for each epoch and process."""
    elsewhere(train_as_two, tmp_path, seconds=300)
    for mode in ("step", "epoch"):
        names = sorted(path.name for path in (tmp_path / mode).iterdir())
        assert names == [f"dynamics_epoch_{e}.part_{p}_of_2.jsonl" for e in range(3) for p in range(2)]
        found = open_dynamics(tmp_path / mode)
        assert found.notes == () and found.recorded.all() and set(found.guid) == set(range(N))
        assert all(found.gold[place] == CLASSES.labels[guid] for place, guid in enumerate(found.guid))


# ---- other tasks


def mean_log_p(logits, labels):
    """The mean log-probability of the gold answers, one by one."""
    found = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        if label != -100:
            found.append(row[label] - np.log(np.sum(np.exp(row))))
    return np.mean(found)


TOKENS = torch.randint(0, 3, (N, SIZE), generator=torch.Generator().manual_seed(2))
TOKENS[:, ::3] = -100
WORDS = torch.randint(1, 30, (N, SIZE), generator=torch.Generator().manual_seed(3))
WORDS[:, 1] = -100
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
GPT2 = {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 30, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "vocab_size": 30, "dropout_rate": 0.0}


@pytest.mark.parametrize(
    ("model", "labels", "shift"),
    [
        (lambda: BertForTokenClassification(BertConfig(**SMALL, **STILL, num_labels=3)), TOKENS, 0),
        (lambda: BertForMaskedLM(BertConfig(**SMALL, **STILL)), WORDS, 0),
        (lambda: GPT2LMHeadModel(GPT2Config(**GPT2, attn_pdrop=0.0)), WORDS, 1),
        (lambda: T5ForConditionalGeneration(T5Config(**T5, decoder_start_token_id=0)), WORDS, 0),
    ],
    ids=["token classification", "masked words", "next words", "words of a decoder"],
)
def test_texts_of_several_gold_tokens_have_their_mean_log_probability(tmp_path, model, labels, shift):
    torch.manual_seed(0)
    model, data = model(), Rows(labels)
    with torch.no_grad():
        logits = model(input_ids=data.ids, labels=labels).logits
    recorder = TrainingDynamics(tmp_path / "dynamics")
    trainer_of(model, tmp_path / "out", recorder, data=data, per_device_train_batch_size=N).train()
    found = data_map(tmp_path / "dynamics")
    for place, row in enumerate(found.guid):
        expected = mean_log_p(logits[row, : SIZE - shift], labels[row, shift:])
        assert found.gold_probability[place, 0] == pytest.approx(np.exp(expected), rel=1e-4)
    assert (found.gold == 0).all()


def test_texts_of_several_labels_have_the_mean_over_all_of_them(tmp_path):
    labels = (torch.rand(N, 3, generator=torch.Generator().manual_seed(4)) > 0.5).float()
    model = classifier(**STILL, problem_type="multi_label_classification")
    with torch.no_grad():
        p = model(input_ids=CLASSES.ids).logits.sigmoid()
    recorder = TrainingDynamics(tmp_path / "dynamics")
    trainer_of(model, tmp_path / "out", recorder, data=Rows(labels), per_device_train_batch_size=N).train()
    found = data_map(tmp_path / "dynamics")
    for place, row in enumerate(found.guid):
        own = [p[row, c].item() if labels[row, c] else 1 - p[row, c].item() for c in range(3)]
        assert found.gold_probability[place, 0] == pytest.approx(np.prod(own) ** (1 / 3), rel=1e-4)


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")  # of transformers, by peft
def test_adapters_are_recorded(tmp_path):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(classifier(), LoraConfig(task_type="SEQ_CLS", target_modules=["query"], r=2))
    truth = Truth(model)
    trainer_of(model, tmp_path / "out", truth, TrainingDynamics(tmp_path / "dynamics")).train()
    compare(tmp_path / "dynamics", truth.epochs)


# ---- a loop of one's own


def test_a_loop_of_ones_own_writes_each_epoch_when_it_is_over(tmp_path):
    logits = torch.randn(3, 10, 4, generator=torch.Generator().manual_seed(0))
    gold = torch.arange(10) % 4
    with TrainingDynamics(tmp_path) as dynamics:
        for epoch in range(3):
            for part in (slice(0, 6), slice(6, 10)):
                dynamics.record(epoch, [f"t{row}" for row in range(10)][part], logits[epoch, part], gold[part])
            assert len(list(tmp_path.glob("*.jsonl"))) == epoch
    found = open_dynamics(tmp_path)
    assert found.guid == tuple(f"t{row}" for row in range(10))
    np.testing.assert_allclose(found.logits.transpose(1, 0, 2), logits, rtol=1e-6)
    assert found.gold.tolist() == gold.tolist()


def test_a_loop_that_is_never_closed_loses_nothing(tmp_path):
    dynamics = TrainingDynamics(tmp_path)
    dynamics.record(0, np.arange(2), [[1, 2], [3, 4.5]], [0, 1])
    dynamics.record(1, torch.arange(2), np.eye(2), np.array([0, 1]))
    del dynamics
    assert open_dynamics(tmp_path).logits.tolist() == [[[1, 2], [1, 0]], [[3, 4.5], [0, 1]]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ((-1, [0], [[1, 2]], [0]), "The epoch is '-1'; give a whole number from 0"),
        (
            (0, [0, 1], [[1, 2]], [0]),
            r"2 texts came with logits \[1, 2\] and labels \[1\]; give one row of two or more",
        ),
        ((0, [0], [[1]], [0]), r"1 text came with logits \[1, 1\]"),
        ((0, [0], [[1, 2]], [2]), "A label is 2.*, and the logits are of 2 classes; give classes counted from 0"),
        ((0, [0], [[1, 2]], [0.5]), "A label is 0.5, and the logits are of 2 classes"),
        ((0, [0], [[1, 2], [3]], [0]), "The logits are no numbers in rows of one length"),
        ((0, [0.5], [[1, 2]], [0]), "A text is called '0.5', a float; give whole numbers or strings as names"),
    ],
)
def test_a_bad_record_is_told(tmp_path, call, message):
    with pytest.raises(SelectionError, match=message):
        TrainingDynamics(tmp_path).record(*call)


def test_epochs_do_not_go_back_and_a_second_training_is_refused(tmp_path):
    with TrainingDynamics(tmp_path) as dynamics:
        dynamics.record(0, [0], [[1, 2]], [0])
        dynamics.record(1, [0], [[1, 2]], [0])
        dynamics.record(2, [0], [[1, 2]], [0])
        with pytest.raises(SelectionError, match="Epoch 0 came after epoch 2; record epochs one after the other"):
            dynamics.record(0, [0], [[1, 2]], [0])
    with pytest.raises(
        SelectionError, match=r"holds the dynamics of another training \(epoch 0, 1, 2\); give an empty"
    ):
        TrainingDynamics(tmp_path).record(0, [0], [[1, 2]], [0])
    with pytest.raises(SelectionError, match="holds the dynamics of another training"):
        trainer_of(classifier(), tmp_path / "out", TrainingDynamics(tmp_path)).train()
    with TrainingDynamics(tmp_path) as dynamics:
        dynamics.record(1, [0], [[3, 4]], [0])  # resumed: what came later is forgotten
    assert open_dynamics(tmp_path).logits.tolist() == [[[1, 2], [3, 4]]]


def test_logits_that_are_no_numbers_are_told_once_and_left_out(tmp_path):
    with TrainingDynamics(tmp_path) as dynamics:
        with pytest.warns(
            UserWarning, match=r"The logits of 1 text \(b\) in epoch 0 are no numbers, or there is no label"
        ):
            dynamics.record(0, ["a", "b"], [[1, 2], [float("nan"), 1]], [0, 0])
        dynamics.record(0, ["c"], [[float("inf"), 1]], [0])
    assert open_dynamics(tmp_path).guid == ("a",)


# ---- what is refused


class Stream(IterableDataset):
    def __iter__(self):
        return iter([CLASSES[row] for row in range(N)])


class Picking(Trainer):
    """Its model is told nothing of the rows."""

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        return model(input_ids=inputs["input_ids"], labels=inputs["labels"]).loss


def two_in_one(rows):
    return {
        "input_ids": torch.cat([row["input_ids"] for row in rows])[None],
        "labels": torch.stack([row["labels"] for row in rows[:1]]),
    }


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"data": Stream(), "max_steps": 3}, "The training set is a stream, whose rows have no numbers"),
        ({"kind": Picking}, r"the model was not told which texts it was of; call it as model\(\*\*inputs\)"),
        ({"collate": two_in_one}, "A batch of 4 texts gave logits of 1: texts are packed together"),
        ({"collate": lambda rows: [row["input_ids"] for row in rows]}, "The collator made a list of a batch"),
        (
            {"collate": lambda rows: {"input_ids": torch.stack([row["input_ids"] for row in rows])}},
            "The batches of the training have no labels, but input_ids",
        ),
    ],
    ids=["stream", "compute_loss", "packed", "list", "no labels"],
)
def test_trainings_that_cannot_be_recorded_are_refused_at_their_first_step(tmp_path, more, message):
    with pytest.raises(SelectionError, match=message):
        trainer_of(classifier(), tmp_path / "out", TrainingDynamics(tmp_path / "dynamics"), **more).train()


def test_tasks_without_gold_classes_are_refused(tmp_path):
    one = BertForSequenceClassification(BertConfig(**SMALL, num_labels=1))
    with pytest.raises(
        SelectionError, match=r"Training dynamics are of classes, and BertForSequenceClassification was"
    ):
        trainer_of(one, tmp_path, TrainingDynamics(tmp_path / "a"), data=Rows(torch.rand(N))).train()

    class Span(Rows):
        def __getitem__(self, row):
            return {"input_ids": self.ids[row], "start_positions": 1, "end_positions": 2}

    span = BertForQuestionAnswering(BertConfig(**SMALL))
    with pytest.raises(SelectionError, match="The batches of the training have no labels, but input_ids, start_pos"):
        trainer_of(span, tmp_path, TrainingDynamics(tmp_path / "b"), data=Span(None)).train()


def test_a_model_that_gives_no_logits_is_refused(tmp_path):
    class Fused(BertForSequenceClassification):
        def forward(self, input_ids, labels):
            return {"loss": super().forward(input_ids=input_ids, labels=labels).loss}

    with pytest.raises(SelectionError, match="Fused gave no logits in training, so there is nothing to record"):
        trainer_of(Fused(BertConfig(**SMALL, num_labels=3)), tmp_path, TrainingDynamics(tmp_path / "a")).train()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: TrainingDynamics(at, mode="batch"), "There is no mode 'batch'; choose step, epoch"),
        (lambda at: TrainingDynamics(at, texts=["a", "b", "a"]), "1 text of 3 in texts= are called as another one: a"),
        (lambda at: TrainingDynamics(at, texts=[1.5]), "A text is called '1.5', a float"),
    ],
)
def test_a_bad_choice_is_told(tmp_path, make, message):
    with pytest.raises(SelectionError, match=message):
        make(tmp_path / "dynamics")


def test_texts_of_another_set_are_refused(tmp_path):
    recorder = TrainingDynamics(tmp_path / "dynamics", texts=range(N - 1))
    with pytest.raises(SelectionError, match=r"The training set has 22 rows, and texts= has 21; give the texts of"):
        trainer_of(classifier(), tmp_path / "out", recorder).train()


def test_a_full_disk_does_not_end_the_training(tmp_path):
    class Full(TrainerCallback):
        def on_epoch_begin(self, *args, **kwargs):
            shutil.rmtree(tmp_path / "dynamics", ignore_errors=True)

    with pytest.warns(UserWarning, match="cannot be written"):
        trainer_of(classifier(), tmp_path / "out", TrainingDynamics(tmp_path / "dynamics"), Full()).train()
