"""A textbook chapter on PyTorch, run word for word: what it prints, draws and computes.

`python -m parity_tests.chapter ENGINE FILE` runs every step below with torch or minigrad as `torch`
and pickles what came of it to FILE; test_chapter.py compares two such recordings. The chapter mixes
prose and code, so the code is first told from the prose. What it uses but leaves out (some imports,
three members of the training loop, data) is supplied here, the same for both engines.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
CHAPTER = Path(
    os.environ.get("MINIGRAD_CHAPTER", ROOT.parent / "shared" / "seed" / "pytorch-minimal.txt")
)

# --- From the chapter's text to its program ------------------------------------------------------


def program(text: str) -> str:
    """The chapter's code, with every line of prose blanked: line numbers stay the chapter's.

    Code starts at an unindented import or class. It ends at the next unindented line before which
    it is complete Python: inside an open triple-quoted string an unindented line is still code.
    """
    lines = text.splitlines()
    code = [""] * len(lines)
    start = None
    for number, line in enumerate([*lines, "end"]):
        if not line or line[0].isspace():
            continue
        if start is not None and is_complete(lines[start:number]):
            code[start:number] = lines[start:number]
            start = None
        if start is None and line.startswith(("import ", "from ", "class ")):
            start = number
    return "\n".join(code)


def is_complete(lines: list[str]) -> bool:
    try:
        ast.parse("\n".join(lines))
    except SyntaxError:
        return False
    return True


def functions(tree: ast.Module) -> set[tuple[str, int]]:
    """(name, first line) of every function in the chapter, methods and inner ones too."""
    return {
        (node.name, min([node.lineno, *(mark.lineno for mark in node.decorator_list)]))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }


def run_chapter(tree: ast.Module) -> SimpleNamespace:
    """Every class of the chapter, as attributes; those defined inside a method are lifted out."""
    import math
    from collections import defaultdict

    import torch.utils.checkpoint as checkpoint
    from torch.utils.data import DataLoader
    from tqdm import tqdm

    class Progress(tqdm):
        """A progress bar whose numbers are printed as well, and so are compared."""

        def set_postfix(self, numbers):
            print(numbers)
            super().set_postfix(numbers)

    names = dict(math=math, defaultdict=defaultdict, checkpoint=checkpoint, DataLoader=DataLoader)
    names |= {"tqdm": Progress, "__name__": "chapter"}
    exec(compile(tree, CHAPTER, "exec"), names)
    inner = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for node in inner:
        if node not in tree.body:
            exec(compile(ast.Module([node], []), CHAPTER, "exec"), names)
    return SimpleNamespace(**names)


# --- The steps: every class and method, once -----------------------------------------------------

METHODS = {
    "TensorVsNumPy": ["performance_comparison", "gradient_capability"],
    "TensorBasics": [
        "tensor_creation_methods", "tensor_properties_demo", "broadcasting_deep_dive",
    ],
    "AdvancedIndexing": [
        "basic_indexing", "advanced_indexing", "gather_scatter_operations",
        "index_operations_visualization",
    ],
    "AutogradDeepDive": [
        "computational_graph_basics", "gradient_accumulation_detailed", "gradient_flow_control",
        "higher_order_derivatives", "custom_autograd_function",
    ],
    "PracticalGradientHandling": [
        "gradient_clipping_strategies", "gradient_checkpointing_example",
    ],
    "ModuleDesignPhilosophy": ["module_as_computation_unit", "initialization_strategies"],
}
ARGUMENTS = {"performance_comparison": {"size": 200}}

STEPS: dict[str, Callable[[SimpleNamespace], object]] = {
    f"{kind}.{method}": lambda chapter, kind=kind, method=method: getattr(
        getattr(chapter, kind)(), method
    )(**ARGUMENTS.get(method, {}))
    for kind, methods in METHODS.items()
    for method in methods
}


def step(run: Callable[[SimpleNamespace], object]) -> Callable[[SimpleNamespace], object]:
    STEPS[run.__name__] = run
    return run


def train(model, inputs, outputs_of=lambda result: [result]) -> dict:
    """Three steps of SGD towards random targets: every output, loss, gradient and parameter."""
    import torch

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    targets = [torch.randn_like(output) for output in outputs_of(model(*inputs))]
    record = {"outputs": [], "losses": [], "gradients": []}
    for _ in range(3):
        outputs = outputs_of(model(*inputs))
        loss = sum(
            torch.nn.functional.mse_loss(*pair) for pair in zip(outputs, targets, strict=True)
        )
        optimizer.zero_grad()
        loss.backward()
        record["outputs"].append([output.detach() for output in outputs])
        record["losses"].append(loss.item())
        record["gradients"].append({n: p.grad.clone() for n, p in model.named_parameters()})
        optimizer.step()
    model.eval()
    with torch.no_grad():
        record["evaluated"] = list(outputs_of(model(*inputs)))
    record["parameters"] = dict(model.state_dict())
    return record


@step
def attention_head(chapter):
    import torch

    tokens = torch.randn(2, 5, 16, requires_grad=True)
    mask = torch.ones(5, 5).tril()
    head = chapter.AttentionHead(16, 4)
    record = train(head, [tokens, tokens, tokens, mask], outputs_of=list)
    return record | {"input gradient": tokens.grad}


@step
def multi_head_attention(chapter):
    import torch

    tokens = torch.randn(2, 5, 16, requires_grad=True)
    record = train(chapter.MultiHeadAttention(16, 4), [tokens, tokens, tokens])
    return record | {"input gradient": tokens.grad}


@step
def transformer_block(chapter):
    import torch

    tokens = torch.randn(2, 5, 16, requires_grad=True)
    mask = torch.ones(5, 5).tril()
    record = train(chapter.TransformerBlock(16, 4, 32), [tokens, mask])
    return record | {"input gradient": tokens.grad}


@step
def properly_initialized_model(chapter):
    import torch

    return train(chapter.ProperlyInitializedModel(20, 32, 5), [torch.randn(16, 20)])


@step
def deep_model(chapter):
    import torch

    return train(chapter.DeepModel(), [torch.randn(8, 100, requires_grad=True)])


@step
def deep_model_with_checkpoints(chapter):
    import torch

    model = chapter.DeepModel(use_checkpoint=True)
    return train(model, [torch.randn(8, 100, requires_grad=True)])


@step
def early_stopping(chapter):
    stopping = chapter.EarlyStopping(patience=3)
    losses = [1.0, 0.8, 0.8, 0.7, 0.75, 0.6999999, 0.71, 0.5]
    return [(stopping(loss), stopping.counter, stopping.best_loss) for loss in losses]


@step
def comprehensive_training_loop(chapter):
    """Six epochs on sentences of ten random tokens; the class is that of the commonest token."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(20, 16)
            self.norm = torch.nn.LayerNorm(16)
            self.hidden = torch.nn.Linear(16, 32)
            self.classifier = torch.nn.Linear(32, 4)

        def forward(self, tokens):
            sentence = self.norm(self.embedding(tokens).mean(dim=1))
            return self.classifier(torch.relu(self.hidden(sentence)))

    class TrainingLoop(chapter.ComprehensiveTrainingLoop):
        best_val_accuracy = 0.0

        def _validate_epoch(self, loader, criterion):
            self.model.eval()
            loss, correct, total = 0.0, 0, 0
            with torch.no_grad():
                for data, target in loader:
                    output = self.model(data.to(self.device))
                    loss += criterion(output, target).item() * len(target)
                    correct += (output.argmax(dim=1) == target).sum().item()
                    total += len(target)
            return {"loss": loss / total, "accuracy": correct / total}

        def _update_history(self, train_metrics, val_metrics, optimizer):
            gradients = [group["params"][0].grad for group in optimizer.param_groups]
            numbers = {
                "train_loss": train_metrics["loss"], "train_acc": train_metrics["accuracy"],
                "val_loss": val_metrics["loss"], "val_acc": val_metrics["accuracy"],
                "lr": optimizer.param_groups[0]["lr"],
                "grad_norm": torch.nn.utils.get_total_norm(gradients).item(),
            }
            for name, number in numbers.items():
                self.history[name].append(number)

    def loader(sentences, shuffle):
        tokens = torch.randint(0, 20, (sentences, 10))
        classes = (tokens.unsqueeze(-1) % 4 == torch.arange(4)).sum(dim=1).argmax(dim=1)
        return DataLoader(TensorDataset(tokens, classes), batch_size=16, shuffle=shuffle)

    loop = TrainingLoop(Classifier(), device="cpu")
    loop.train_with_all_bells_and_whistles(
        loader(128, shuffle=True), loader(64, shuffle=False),
        num_epochs=6, learning_rate=3e-3, warmup_steps=8,
    )
    return {
        "history": dict(loop.history),
        "best accuracy": loop.best_val_accuracy,
        "parameters": dict(loop.model.state_dict()),
    }


# --- Recording ------------------------------------------------------------------------------------


def plain(value: object) -> object:
    """`value` with every tensor as (dtype, array), so that either engine's can be compared."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value.dtype), value.detach().numpy().copy()


def figure_content(figure) -> list[dict]:
    """What a figure shows, axes by axes, as numbers and text; drawing it proves that it can be."""
    figure.canvas.draw()
    return [axes_content(axes) for axes in figure.axes]


def axes_content(axes) -> dict:
    def outline(patch):
        return patch.get_path().transformed(patch.get_patch_transform()).vertices

    legend = axes.get_legend()
    return {
        "title": axes.get_title(),
        "labels": [axes.get_xlabel(), axes.get_ylabel()],
        "scales": [axes.get_xscale(), axes.get_yscale(), axes.axison],
        "limits": np.array([axes.get_xlim(), axes.get_ylim()]),
        "lines": [
            [np.asarray(line.get_xydata()), str(line.get_color()), line.get_linestyle()]
            for line in axes.lines
        ],
        "images": [[np.asarray(image.get_array()), image.cmap.name] for image in axes.images],
        "bars": [outline(patch) for patch in axes.patches],
        "texts": [[np.array(text.get_position()), text.get_text()] for text in axes.texts],
        "legend": [text.get_text() for text in legend.get_texts()] if legend else [],
    }


def record_step(name: str, chapter: SimpleNamespace) -> dict:
    """Run one step from fresh seeds: its printed text, its figures, its values or its error."""
    import torch
    from matplotlib import pyplot

    figures: list[list[dict]] = []

    def show():
        figures.extend(figure_content(pyplot.figure(number)) for number in pyplot.get_fignums())
        pyplot.close("all")

    pyplot.show = show
    torch.manual_seed(0)
    np.random.seed(0)
    record: dict = {"figures": figures}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            record["values"] = plain(STEPS[name](chapter))
        except Exception:
            record["error"] = traceback.format_exc()
    pyplot.close("all")
    return record | {"printed": printed.getvalue()}


def record_all() -> dict:
    """Every step's record, and under "functions" those functions of the chapter that ran."""
    tree = ast.parse(program(CHAPTER.read_text(encoding="utf-8")))
    ran: set[tuple[str, int]] = set()

    def profile(frame, event, argument):
        if event == "call" and frame.f_code.co_filename == str(CHAPTER):
            ran.add((frame.f_code.co_name, frame.f_code.co_firstlineno))

    chapter = run_chapter(tree)
    sys.setprofile(profile)
    records: dict = {name: record_step(name, chapter) for name in STEPS}
    sys.setprofile(None)
    return records | {"functions": ran & functions(tree)}


if __name__ == "__main__":
    engine, target = sys.argv[1:]
    if engine == "minigrad":
        from minigrad.run import install

        install()
    import matplotlib

    matplotlib.use("Agg")
    Path(target).write_bytes(pickle.dumps(record_all()))
