// The panel beside the graph: all that happens at one node's turn.

const details = byId("details");

/** Markup that Python made from a formula, on its way into the page. */
function formula(markup) {
  const box = make("div", { class: "mathematics" });
  box.innerHTML = markup;
  return box;
}

const section = (title, ...children) =>
  make("section", {}, make("h3", {}, title), ...children);

/** A button that leads to a step. */
const link = (text, step) => make("button", { type: "button", "data-step": step }, text);

function showStep(current) {
  const step = content.steps[current];
  const kind = content.kinds[step.kind];
  const line = content.lines[step.line];
  const several = step.in.length > 1;
  details.replaceChildren(
    make("h2", {}, kind.name),
    make("p", { class: "quiet" }, `step ${current + 1} of ${content.steps.length}`),
    line ? make("div", { class: "line" }, `made at ${line.file}:${line.number}`,
      line.text ? make("code", {}, line.text) : "") : "",
    section(several ? "Gradients that arrive" : "Gradient that arrives",
      ...step.in.map((index, place) =>
        tensorFigure(index, several ? `for output ${place}` : from(current)))),
    section("Rule", kind.math ? formula(kind.math) : "",
      ...kind.rules.map((rule) => ruleFigure(rule, step))),
    section("Gradients that leave", ...step.out.map((sent) => sentFigure(sent)),
      step.out.length ? "" : make("p", { class: "quiet" }, "none")),
    section("Gathered in the leaves so far", ...leavesAt(current)));
  details.scrollTop = 0;
}

/** Who sent what arrives, as text. */
function from(current) {
  if (current === 0) return "where backward begins";
  const node = nodeOfStep[current];
  const senders = content.steps.slice(0, current).flatMap((step, number) =>
    step.out.filter(([target]) => target === node).map(() => number));
  if (senders.length === 0) return "";
  const box = make("span", {}, senders.length > 1 ? "the sum of what came from " : "from ");
  senders.slice(0, 6).forEach((sender, place) => {
    if (place) box.append(" + ");
    box.append(link(`${kindOf(sender).name} (step ${sender + 1})`, sender));
  });
  if (senders.length > 6) box.append(` and ${senders.length - 6} more`);
  return box;
}

function ruleFigure(rule, step) {
  const wanted = step.out.some(([, input]) => input === "" || rule.inputs.split(", ").includes(input));
  const where = rule.place ? `${rule.place.file}:${rule.place.number}` : "";
  return make("figure", { class: wanted ? "rule" : "rule idle" },
    make("figcaption", {}, make("span", {}, "for ", make("strong", {}, rule.inputs)),
      make("span", { class: "place" }, where)),
    make("pre", {}, rule.source));
}

function sentFigure([node, input, index]) {
  const target = content.nodes[node];
  const step = stepOfNode.get(node);
  const to = target.leaf !== undefined ? make("strong", {}, content.leaves[target.leaf].name)
    : step === undefined ? target.name : link(`${target.name} (step ${step + 1})`, step);
  const figure = tensorFigure(index, make("span", {}, input ? `for ${input}, to ` : "to ", to));
  const shape = shapeText(content.tensors[index].shape);
  const wanted = shapeWanted(target, step);
  if (wanted !== null && wanted !== shape) {
    figure.append(make("p", { class: "facts" }, `The engine sums it to ${wanted}, undoing the broadcast.`));
  }
  return figure;
}

/** The shape in which a gradient arrives there; null if the target has several outputs. */
function shapeWanted(target, step) {
  if (target.leaf !== undefined) return shapeText(content.leaves[target.leaf].shape);
  const arrived = step === undefined ? [] : content.steps[step].in;
  return arrived.length === 1 ? shapeText(content.tensors[arrived[0]].shape) : null;
}

// --- leaves ----------------------------------------------------------------------------------

const FEW = 6; // so many leaves are shown open

/** What each leaf has after a step: the last tensor that a step up to this one left there. */
function gatheredAt(current) {
  const found = content.leaves.map(() => ({ tensor: null, step: -1 }));
  for (let number = 0; number <= current; number += 1) {
    for (const [leaf, tensor] of content.steps[number].leaves) {
      found[leaf] = { tensor, step: number };
    }
  }
  return found;
}

function leavesAt(current) {
  const rows = gatheredAt(current).map(({ tensor, step }, leaf) => {
    const all = sendersOf[leaf];
    const came = all.filter((sender) => sender <= current).length;
    const changed = step === current;
    const state = all.length === 0 ? "no gradient reaches it" : came === 0 ? "nothing yet"
      : came === all.length ? "complete" : `${came} of ${all.length}`;
    return { leaf, tensor, changed, state };
  });
  rows.sort((a, b) => b.changed - a.changed);
  return rows.map((row) => leafRow(row, row.changed || content.leaves.length <= FEW));
}

function leafRow({ leaf, tensor, changed, state }, open) {
  const { name, shape } = content.leaves[leaf];
  const box = make("details", { class: changed ? "gathered changed" : "gathered", "data-leaf": leaf },
    make("summary", {}, make("strong", {}, name), make("span", { class: "quiet" }, shapeText(shape)),
      make("span", { class: "state" }, changed ? `now: ${state}` : state)));
  const fill = () => {
    if (tensor !== null && box.children.length === 1) box.append(tensorFigure(tensor));
  };
  if (open && tensor !== null) {
    box.open = true;
    fill();
  }
  box.addEventListener("toggle", fill);
  return box;
}
