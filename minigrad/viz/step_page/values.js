// Gradients as pictures: small ones as coloured grids, large ones as histograms.

const content = JSON.parse(document.getElementById("content").textContent);
const byId = (id) => document.getElementById(id);

/** A new element; strings among the children become text, never markup. */
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const MINUS = "\u2212";
const shapeText = (shape) => `(${shape.join(", ")})`;

/** A number to read: three or four digits. Complex ones are pairs; nan and inf are words. */
function short(value, digits = 3) {
  if (Array.isArray(value)) {
    const [real, imaginary] = value.map((part) => short(part, digits));
    return imaginary.startsWith(MINUS) ? `${real}${imaginary}i` : `${real}+${imaginary}i`;
  }
  if (typeof value === "string") return value.replace("-", MINUS);
  const rounded = Number(value.toPrecision(digits));
  const size = Math.abs(rounded);
  const plain = size === 0 || (size >= 1e-4 && size < 1e6);
  return (plain ? String(rounded) : rounded.toExponential().replace("e+", "e")).replaceAll("-", MINUS);
}

/** A number in full. */
const full = (value) => (Array.isArray(value) ? value.map(String).join(", ") : String(value));

const sizeOf = (value) => {
  if (Array.isArray(value)) return Math.hypot(...value);
  return typeof value === "string" ? NaN : Math.abs(value);
};

/** min, max and norm of a tensor; of a complex one, of the sizes of its numbers. */
function facts(tensor) {
  if (!tensor.values) return tensor;
  if (!tensor.facts) {
    const complex = tensor.dtype.startsWith("complex");
    const numbers = tensor.values.map((value) => (complex ? sizeOf(value) : Number(value)))
      .filter(Number.isFinite);
    tensor.facts = {
      min: numbers.length ? Math.min(...numbers) : NaN,
      max: numbers.length ? Math.max(...numbers) : NaN,
      norm: Math.hypot(...numbers),
      nan: tensor.values.filter((value) => value === "nan").length,
      inf: tensor.values.filter((value) => value === "inf" || value === "-inf").length,
    };
  }
  return tensor.facts;
}

function factsText(tensor) {
  const { min, max, norm, nan, inf } = facts(tensor);
  const count = tensor.shape.reduce((a, b) => a * b, 1);
  const parts = [];
  if (count === 0) parts.push("no elements");
  else if (count > 1) {
    parts.push(`min ${short(min, 4)}`, `max ${short(max, 4)}`, `norm ${short(norm, 4)}`);
  }
  if (nan) parts.push(`${nan} nan`);
  if (inf) parts.push(`${inf} inf`);
  return parts.join(" · ");
}

/** One gradient, with its caption. `index` is its place in the page's tensors, null for none. */
function tensorFigure(index, ...caption) {
  if (index === null) {
    return make("figure", { class: "tensor" }, make("figcaption", {}, ...caption),
      make("p", { class: "quiet" }, "nothing"));
  }
  const tensor = content.tensors[index];
  const kind = make("span", { class: "quiet" }, `${tensor.dtype} ${shapeText(tensor.shape)}`);
  const figure = make("figure", { class: "tensor", "data-tensor": index },
    make("figcaption", {}, ...caption, kind));
  figure.append(tensor.values ? gridOf(tensor) : histogramOf(tensor));
  const text = factsText(tensor);
  if (text) figure.append(make("p", { class: "facts" }, text));
  return figure;
}

// --- grids -----------------------------------------------------------------------------------

const LEGIBLE = { rows: 16, columns: 8 }; // larger grids are colours alone
const MOST_SLICES = 12;

/** The last two dimensions are a grid; the others count the grids. */
function gridOf(tensor) {
  const columns = tensor.shape.at(-1) ?? 1;
  const rows = tensor.shape.at(-2) ?? 1;
  const each = rows * columns;
  const slices = each ? tensor.values.length / each : 0;
  const largest = Math.max(...tensor.values.map(sizeOf).filter(Number.isFinite), 0);
  const legible = rows <= LEGIBLE.rows && columns <= LEGIBLE.columns;
  const box = make("div", { class: "scroll" });
  const grids = make("div", { class: "slices" });
  box.append(grids);
  for (let slice = 0; slice < Math.min(slices, MOST_SLICES); slice += 1) {
    const part = tensor.values.slice(slice * each, (slice + 1) * each);
    const name = `[${placeOf(slice, tensor.shape.slice(0, -2))}]`;
    grids.append(make("div", {}, slices > 1 ? make("p", { class: "slice" }, name) : "",
      legible ? table(part, columns, largest) : cells(part, rows, columns, largest)));
  }
  if (slices > MOST_SLICES) {
    box.append(make("p", { class: "quiet" }, `and ${slices - MOST_SLICES} more like these`));
  }
  if (!legible || slices > MOST_SLICES) box.append(numbersOf(tensor));
  return box;
}

/** The indices of the `count`-th slice of a tensor with these leading dimensions. */
function placeOf(count, shape) {
  const indices = [];
  for (const length of [...shape].reverse()) {
    indices.unshift(count % length);
    count = Math.floor(count / length);
  }
  return indices.join(", ");
}

/** Colours a cell: orange above zero, blue below, the stronger the larger. */
function paint(cell, value, largest) {
  const size = sizeOf(value);
  cell.dataset.value = full(value);
  cell.title = full(value);
  if (Number.isNaN(size) || size === Infinity) cell.classList.add("odd");
  else if (size > 0) {
    cell.classList.add(Array.isArray(value) || value > 0 ? "plus" : "minus");
    cell.style.setProperty("--much", `${Math.round(10 + 50 * (size / largest))}%`);
  }
  return cell;
}

function table(values, columns, largest) {
  const body = make("tbody");
  for (let start = 0; start < values.length; start += columns) {
    body.append(make("tr", {}, ...values.slice(start, start + columns).map((value) =>
      paint(make("td", { class: "number" }, short(value)), value, largest))));
  }
  return make("table", { class: "grid" }, body);
}

function cells(values, rows, columns, largest) {
  const across = rows === 1 ? Math.min(columns, 32) : columns;
  const size = Math.max(3, Math.min(15, Math.floor(360 / across)));
  const box = make("div", {
    class: "cells", role: "img",
    "aria-label": `${rows} by ${columns} numbers as colours; in full below`,
    style: `grid-template-columns: repeat(${across}, ${size}px); grid-auto-rows: ${size}px`,
  });
  box.append(...values.map((value) => paint(make("span"), value, largest)));
  return box;
}

/** All numbers as text, written when somebody asks. */
function numbersOf(tensor) {
  const box = make("details", {}, make("summary", {}, "the numbers"));
  box.addEventListener("toggle", () => {
    if (box.children.length === 1) {
      const text = tensor.values.map((value) => short(value, 4)).join("  ");
      box.append(make("pre", { tabindex: 0, role: "region", "aria-label": "The numbers" }, text));
    }
  });
  return box;
}

// --- histograms ------------------------------------------------------------------------------

function histogramOf(tensor) {
  const { counts, min, max } = tensor;
  const most = Math.max(...counts, 1);
  const total = counts.reduce((a, b) => a + b, 0);
  const width = (max - min) / counts.length;
  const bars = counts.map((count, place) => {
    const [low, high] = [min + place * width, min + (place + 1) * width];
    const side = low >= 0 && high > 0 ? "plus" : high <= 0 && low < 0 ? "minus" : "zero";
    // Roots, so that the few can be seen beside the many.
    return make("i", {
      class: side, style: `height: ${100 * Math.sqrt(count / most)}%`,
      title: `${count} from ${short(low)} to ${short(high)}`,
    });
  });
  return make("div", {},
    make("div", {
      class: "bars", role: "img",
      "aria-label": `Histogram of ${total} numbers from ${short(min)} to ${short(max)}`,
    }, ...bars),
    make("div", { class: "ends", "aria-hidden": "true" },
      make("span", {}, short(min)), make("span", {}, `${total} numbers, heights are roots`), make("span", {}, short(max))));
}
