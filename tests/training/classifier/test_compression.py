"""Smaller networks made from trained ones: pruned, taught, and trained for int8."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.training.classifier.test_session import TINY, load, make_options
from training.classifier.data import load_data
from training.classifier.restore import restore_network
from training.classifier.servable import describe_release, load_program
from training.classifier.session import make_task, train
from training.engine.overrides import override
from training.engine.runs import read_run
from training.release.parent import measure_parent

SHORT = replace(TINY, epochs=1, average_decay=0.0)


pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return train(replace(TINY, widths=(16, 32, 32), epochs=4), make_options(tmp_path_factory.mktemp("teacher")))


def count_weights(run):
    return sum(weight.numel() for weight in restore_network(run)[0].parameters())


def test_a_pruned_run_starts_from_what_was_learned_and_is_released_with_its_own_sizes(teacher, tmp_path):
    recipe = replace(SHORT, widths=(16, 32, 32), start_from=str(teacher), pruned_fraction=0.5)
    run = train(recipe, make_options(tmp_path))
    assert count_weights(run) < 0.4 * count_weights(teacher)
    program = describe_release(run, "cpu").programs["main"]
    assert program.module(program.example_inputs[0]).shape == (4, 10)
    assert load_program(run)[0].network.head.in_features == 16


def test_only_the_named_parts_lose_channels(teacher):
    recipe = override(SHORT, ["widths=16,32,32", f"start_from={teacher}", "pruned_fraction=0.5"])
    data = load_data("glyphs", teacher, recipe)
    task, _ = make_task(replace(recipe, pruned_layers=("stages.0",)), data, torch.device("cpu"), seed=0)
    shapes = [tuple(layer.weight.shape[:2]) for layer in task.network.modules() if isinstance(layer, nn.Conv2d)]
    assert shapes[1:] == [(8, 8), (8, 8), (32, 8), (32, 32), (32, 32), (32, 32)]
    with pytest.raises(ValueError, match=r"no layer in 'stage'; it has whiten, stages\.0\.conv1"):
        make_task(replace(recipe, pruned_layers=("stage",)), data, torch.device("cpu"), seed=0)


def test_a_run_that_starts_from_another_without_pruning_has_its_weights_at_first(teacher, tmp_path):
    recipe = replace(SHORT, widths=(16, 32, 32), start_from=str(teacher), lr=1e-9, epochs=0.1)
    run = train(recipe, make_options(tmp_path))
    before, after = load(teacher / "network.pt")["network"], load(run / "network.pt")["network"]
    torch.testing.assert_close(after["stages.0.conv1.weight"], before["stages.0.conv1.weight"], atol=1e-3, rtol=0)


def test_a_student_comes_nearer_to_its_teacher_than_one_that_learns_alone(teacher, tmp_path):
    def distance(run):
        images = describe_release(run, "cpu").held_out.inputs["image"]
        answers = [load_program(folder)[0](torch.from_numpy(images)) for folder in (run, teacher)]
        return float((answers[0] - answers[1]).abs().mean())

    alone = train(SHORT, make_options(tmp_path / "alone"))
    taught = train(replace(SHORT, teacher=str(teacher), teacher_weight=0.9), make_options(tmp_path / "taught"))
    assert distance(taught) < distance(alone)


def make_distilled(teacher, *changes):
    small = ["network=deit", f"teacher={teacher}", "patch_px=5", "token_width=16", "num_layers=1", "dropout=0"]
    return override(SHORT, [*small, "label_smoothing=0", *changes])


@pytest.mark.parametrize("answers", ["soft", "hard"])
def test_the_class_token_learns_from_labels_and_the_distillation_token_from_the_teacher(answers, teacher):
    gradients = {}
    for weight in (0, 0.5):
        recipe = make_distilled(teacher, f"teacher_weight={weight}", f"teacher_answers={answers}")
        torch.manual_seed(0)
        task, _ = make_task(recipe, load_data("glyphs", teacher, recipe), torch.device("cpu"), seed=0)
        images, labels = task.batches.at(0)
        by_class, by_distillation = task.network.answer(task.normalization(images))
        choices = task.teacher.answer(images).argmax(1)
        loss = task.train_step(0)["loss"]
        gradients[weight] = [head.weight.grad for head in task.network.heads]
        if answers == "hard" or weight == 0:
            from_labels = nn.functional.cross_entropy(by_class, labels)
            from_teacher = nn.functional.cross_entropy(by_distillation, choices)
            torch.testing.assert_close(loss, torch.lerp(from_labels, from_teacher, weight).detach())
    torch.testing.assert_close(2 * gradients[0.5][0], gradients[0][0])
    assert gradients[0][1].abs().max() == 0
    assert gradients[0.5][1].abs().max() > 0


def test_a_distilled_transformer_is_released_with_the_mean_of_its_answers(teacher, tmp_path):
    run = train(make_distilled(teacher, "epochs=0.2"), make_options(tmp_path))
    spec = describe_release(run, "cpu")
    network, normalization, _, stored = restore_network(run)
    images = torch.from_numpy(spec.held_out.inputs["image"][:8])
    with torch.no_grad():
        answers = torch.stack(network.answer(normalization(images)))
        expected = (answers.mean(0) / stored["temperature"]).softmax(1)
        torch.testing.assert_close(spec.programs["main"].module(images), expected)
    assert spec.programs["main"].quantization == "dynamic"


def test_training_for_int8_learns_and_keeps_the_ranges_in_its_checkpoint(tmp_path):
    run = train(replace(SHORT, quantize_aware=True, epochs=3, lr=0.2), make_options(tmp_path))
    assert read_run(run)["metrics"]["accuracy"] > 0.5  # of ten classes
    ranges = load(run / "checkpoint.pt")["task"]["rounded"]
    assert any(name.endswith("scale") and value.max() < 1 for name, value in ranges.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["pruned_fraction=0.5"], "set start_from to a finished run"),
        (["quantize_aware=true", "precision=bf16"], "set precision to fp32 or auto"),
        (["pruned_layers=stages.0"], "set pruned_fraction to how many"),
        (["network=deit"], "set teacher to a finished run, or use vit"),
        (["network=deit", "teacher=runs/a", "quantize_aware=true"], "deit gives two; use vit"),
        (["teacher_temperature=0"], "teacher_temperature must be positive"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        override(TINY, changes)


def test_a_teacher_of_other_images_is_refused(teacher, tmp_path):
    with pytest.raises(ValueError, match=r"trained on images of \[20, 20, 1\], these are \[24, 24, 1\]"):
        train(replace(SHORT, resolution=24, teacher=str(teacher)), make_options(tmp_path))


def test_a_release_says_how_it_compares_with_the_run_it_was_made_from(teacher, tmp_path):
    run = train(replace(SHORT, teacher=str(teacher)), make_options(tmp_path))
    spec = describe_release(run, "cpu")
    assert spec.parent == teacher
    parent = measure_parent(spec, torch.device("cpu"))
    assert parent.measurement.value == pytest.approx(read_run(teacher)["metrics"]["accuracy"], abs=1e-4)
    assert parent.size_bytes == sum(weight.nbytes for weight in load_program(teacher)[0].state_dict().values())
    (teacher / "network.pt").rename(teacher / "gone")
    assert describe_release(run, "cpu").parent is None
