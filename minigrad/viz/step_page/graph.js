// The graph: drawn once, moved and zoomed as a whole, coloured anew at every step.

const picture = byId("picture");
const world = byId("world");

/** A new SVG element. */
function draw(tag, attributes = {}, ...children) {
  const made = document.createElementNS(picture.namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const nodeOfStep = content.steps.map((step) => step.node);
const stepOfNode = new Map(nodeOfStep.map((node, step) => [node, step]));
const kindOf = (step) => content.kinds[content.steps[step].kind];

/** For each leaf the steps that send to it, in order. */
const sendersOf = content.leaves.map(() => []);
content.steps.forEach((step, number) => {
  for (const [leaf] of step.leaves) sendersOf[leaf].push(number);
});

const boxes = content.nodes.map((node, number) => {
  const step = stepOfNode.get(number);
  const leaf = node.leaf !== undefined;
  const below = leaf ? shapeText(content.leaves[node.leaf].shape)
    : step === undefined ? "no gradient" : `step ${step + 1}`;
  return draw("g", {
    class: leaf ? "node leaf" : step === undefined ? "node never" : "node",
    transform: `translate(${node.x} ${node.y})`, role: "button", tabindex: "-1",
    "aria-label": leaf ? `leaf ${node.name}, ${below}` : `${node.name}, ${below}`,
    "data-node": number,
  },
  draw("rect", { x: -node.w / 2, y: -node.h / 2, width: node.w, height: node.h, rx: 8 }),
  draw("text", { y: -2 }, node.name),
  draw("text", { y: 13, class: "below" }, below));
});
const arrows = content.edges.map(([from, to, path]) =>
  draw("path", { class: "edge", d: path, "data-from": from, "data-to": to }));
byId("nodes").append(...boxes);
byId("edges").append(...arrows);

/** Gives an element these of the classes that a step may change; most have them already. */
function dress(element, classes) {
  if (element.dressed === classes) return;
  for (const old of element.dressed?.split(" ") ?? []) if (old) element.classList.remove(old);
  for (const now of classes.split(" ")) if (now) element.classList.add(now);
  element.dressed = classes;
}

/** Colours for one step: what is done, whose turn it is, where its gradients go. */
function colour(current) {
  const reached = new Set(content.steps[current].out.map(([node]) => node));
  boxes.forEach((box, number) => {
    const step = stepOfNode.get(number);
    const leaf = content.nodes[number].leaf;
    const done = leaf === undefined ? step < current : sendersOf[leaf].at(-1) <= current;
    dress(box, [done ? "done" : "", step === current ? "current" : "",
      reached.has(number) ? "reached" : ""].join(" "));
  });
  picture.querySelector("[aria-current]")?.removeAttribute("aria-current");
  picture.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
  boxes[nodeOfStep[current]].setAttribute("aria-current", "step");
  boxes[nodeOfStep[current]].setAttribute("tabindex", "0");
  content.edges.forEach(([from, to], number) => {
    const step = stepOfNode.get(from);
    const sent = step === current && reached.has(to);
    dress(arrows[number], sent ? "sent" : step < current ? "done" : "");
    if (sent) byId("edges").append(arrows[number]); // above the others
  });
}

// --- moving ----------------------------------------------------------------------------------

const view = { x: 0, y: 0, scale: 1 };
const SMALLEST = 0.01;
const LARGEST = 3;

function place(glide = false) {
  world.classList.toggle("glide", glide);
  world.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
}

/** Zooms so that the point (x, y) of the window stays where it is. */
function zoomAt(x, y, factor) {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
  view.x = x - (x - view.x) * (scale / view.scale);
  view.y = y - (y - view.y) * (scale / view.scale);
  view.scale = scale;
  place();
}

function zoomMiddle(factor) {
  zoomAt(picture.clientWidth / 2, picture.clientHeight / 2, factor);
}

function showAll() {
  const margin = 28;
  const legend = byId("legend").offsetHeight;
  const [wide, high] = [picture.clientWidth, picture.clientHeight - legend];
  const [across, down] = [wide - 2 * margin, high - 2 * margin];
  view.scale = Math.max(SMALLEST, Math.min(across / content.width, down / content.height, 1.4));
  view.x = (wide - content.width * view.scale) / 2;
  view.y = (high - content.height * view.scale) / 2;
  place(true);
}

/** Brings a node into sight, if it is not well inside already. */
function bringIntoSight(number, always = false) {
  const node = content.nodes[number];
  const [x, y] = [view.x + node.x * view.scale, view.y + node.y * view.scale];
  const [wide, high] = [picture.clientWidth, picture.clientHeight];
  const [besides, above] = [Math.min(90, wide / 4), Math.min(70, high / 4)];
  const inside = x > besides && x < wide - besides && y > above && y < high - above;
  if (inside && !always) return;
  view.x = wide / 2 - node.x * view.scale;
  view.y = high / 2 - node.y * view.scale;
  place(true);
}

/** At first: all of it if that can be read, else the beginning. */
function firstView(current) {
  showAll();
  const least = 0.62;
  if (view.scale < least) {
    view.scale = 0.85;
    bringIntoSight(nodeOfStep[current], true);
  }
  place();
}

picture.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = picture.getBoundingClientRect();
  const lines = event.deltaMode === 1 ? 16 : 1;
  zoomAt(event.clientX - box.left, event.clientY - box.top,
    Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0018)));
}, { passive: false });

// One pointer moves, two zoom. A press that hardly moves is a click on what is under it.
const held = new Map();
let travelled = 0;

picture.addEventListener("pointerdown", (event) => {
  if (held.size === 0) travelled = 0;
  held.set(event.pointerId, { x: event.clientX, y: event.clientY });
});
addEventListener("pointermove", (event) => {
  const last = held.get(event.pointerId);
  if (!last) return;
  const now = { x: event.clientX, y: event.clientY };
  const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
  travelled += Math.hypot(now.x - last.x, now.y - last.y);
  if (travelled > 4) picture.classList.add("held");
  if (other) {
    const box = picture.getBoundingClientRect();
    const grown = Math.hypot(now.x - other.x, now.y - other.y)
      / Math.max(Math.hypot(last.x - other.x, last.y - other.y), 1);
    zoomAt((now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top, grown);
  } else {
    view.x += now.x - last.x;
    view.y += now.y - last.y;
    place();
  }
  held.set(event.pointerId, now);
});
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, (event) => {
    held.delete(event.pointerId);
    picture.classList.remove("held");
  });
}

byId("zoom").addEventListener("click", (event) => {
  const how = event.target.dataset.zoom;
  if (how === "fit") showAll();
  else if (how) zoomMiddle(how === "in" ? 1.3 : 1 / 1.3);
});

// --- hovering --------------------------------------------------------------------------------

const hint = byId("hint");

function showHint(number) {
  const node = content.nodes[number];
  const step = stepOfNode.get(number);
  hint.replaceChildren(make("strong", {}, node.name));
  const add = (...children) => hint.append(make("div", {}, ...children));
  if (node.leaf !== undefined) {
    const senders = sendersOf[node.leaf];
    add(`leaf ${shapeText(content.leaves[node.leaf].shape)}`);
    add(senders.length ? `receives at step ${senders.slice(0, 8).map((each) => each + 1).join(", ")}`
      + (senders.length > 8 ? ", …" : "") : "no gradient reaches it");
  } else if (step === undefined) add("no gradient reaches it");
  else {
    const arrived = content.steps[step].in.map((index) =>
      (index === null ? "nothing" : shapeText(content.tensors[index].shape)));
    add(`step ${step + 1}, gradient ${arrived.join(" and ")}`);
    const line = content.lines[content.steps[step].line];
    if (line) add(make("code", {}, `${line.file}:${line.number}  ${line.text}`));
  }
  const box = boxes[number].getBoundingClientRect();
  const around = byId("graph").getBoundingClientRect();
  hint.hidden = false;
  const left = box.left - around.left + box.width / 2 - hint.offsetWidth / 2;
  const below = box.bottom - around.top + 8;
  hint.style.left = `${Math.max(6, Math.min(left, around.width - hint.offsetWidth - 6))}px`;
  hint.style.top = `${below + hint.offsetHeight < around.height ? below
    : box.top - around.top - hint.offsetHeight - 8}px`;
  for (const arrow of arrows) {
    arrow.classList.toggle("near", [arrow.dataset.from, arrow.dataset.to].includes(String(number)));
  }
}

function hideHint() {
  hint.hidden = true;
  for (const arrow of arrows) arrow.classList.remove("near");
}

const nodeAt = (event) => event.target.closest?.(".node");
picture.addEventListener("pointerover", (event) => {
  const node = nodeAt(event);
  if (node && held.size === 0) showHint(Number(node.dataset.node));
  else hideHint();
});
picture.addEventListener("pointerleave", hideHint);
picture.addEventListener("focusin", (event) => {
  const node = nodeAt(event);
  if (node?.matches(":focus-visible")) showHint(Number(node.dataset.node));
});
picture.addEventListener("focusout", hideHint);
