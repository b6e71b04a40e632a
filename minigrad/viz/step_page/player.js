// Playing: the slider, the keys, the search, the theme. `go` is the one way to another step.

const slider = byId("slider");
const playButton = byId("play");
const last = content.steps.length - 1;
const state = { step: -1, timer: 0 };

function go(step) {
  const next = Math.max(0, Math.min(last, step));
  if (next === state.step) return;
  state.step = next;
  const name = kindOf(next).name;
  slider.value = next;
  slider.setAttribute("aria-valuetext", `step ${next + 1} of ${last + 1}: ${name}`);
  byId("count").textContent = `${next + 1} / ${last + 1}`;
  colour(next);
  showStep(next);
  bringIntoSight(nodeOfStep[next]);
  if (!state.timer) speak();
}

/** Said at each step by hand; while it plays, only where it stops. */
function speak() {
  byId("spoken").textContent = spoken(state.step);
}

/** A step in a sentence, for those who listen. */
function spoken(number) {
  const step = content.steps[number];
  const shapes = step.in.map((index) =>
    (index === null ? "nothing" : shapeText(content.tensors[index].shape)));
  const targets = step.out.map(([node, input]) =>
    content.nodes[node].name + (input ? ` for ${input}` : ""));
  return `Step ${number + 1} of ${last + 1}: ${kindOf(number).name}. Gradient ${shapes.join(" and ")} `
    + `arrives; ${targets.length ? `sends to ${targets.join(", ")}` : "sends nothing"}.`;
}

// --- playing ---------------------------------------------------------------------------------

function pause() {
  if (state.timer) speak();
  clearTimeout(state.timer);
  state.timer = 0;
  playButton.classList.remove("playing");
  playButton.setAttribute("aria-label", "Play");
}

function play() {
  if (state.step === last) go(0);
  playButton.classList.add("playing");
  playButton.setAttribute("aria-label", "Pause");
  const tick = () => {
    go(state.step + 1);
    if (state.step === last) pause();
    else state.timer = setTimeout(tick, 1200 / Number(byId("speed").value));
  };
  state.timer = setTimeout(tick, 400);
}

const toggle = () => (state.timer ? pause() : play());

const moves = {
  first: () => go(0), back: () => go(state.step - 1), next: () => go(state.step + 1),
  last: () => go(last),
};

/** What a person does by hand ends the playing. */
function byHand(move) {
  pause();
  move();
}

byId("buttons").addEventListener("click", (event) => {
  const name = event.target.closest("button")?.dataset.go;
  if (name === "play") toggle();
  else if (name) byHand(moves[name]);
});
slider.addEventListener("input", () => byHand(() => go(Number(slider.value))));
details.addEventListener("click", (event) => {
  const step = event.target.closest("[data-step]")?.dataset.step;
  if (step === undefined) return;
  byHand(() => go(Number(step)));
  details.focus(); // the button that was pressed is gone
});

/** To the turn of a node; of a leaf, to the next step that sends to it. */
function visit(number) {
  const leaf = content.nodes[number].leaf;
  const senders = leaf === undefined ? [] : sendersOf[leaf];
  const step = stepOfNode.get(number)
    ?? senders.find((sender) => sender > state.step) ?? senders[0];
  if (step !== undefined) byHand(() => go(step));
}

picture.addEventListener("click", (event) => {
  const node = nodeAt(event);
  if (node && travelled <= 4) visit(Number(node.dataset.node));
});

// --- keys ------------------------------------------------------------------------------------

const keys = {
  ArrowRight: () => byHand(moves.next), ArrowLeft: () => byHand(moves.back),
  ArrowDown: () => byHand(moves.next), ArrowUp: () => byHand(moves.back),
  Home: () => byHand(moves.first), End: () => byHand(moves.last), " ": toggle,
  "+": () => zoomMiddle(1.3), "=": () => zoomMiddle(1.3), "-": () => zoomMiddle(1 / 1.3),
  0: showAll, "/": () => byId("query").focus(),
};
const shifted = {
  ArrowRight: [-60, 0], ArrowLeft: [60, 0], ArrowDown: [0, -60], ArrowUp: [0, 60],
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const on = event.target;
  if (on === byId("query")) {
    if (event.key === "Escape") on.blur();
    return;
  }
  if (on.matches("select") || (on === slider && event.key !== " ")) return;
  // Inside the panel, up and down scroll; buttons and summaries are pressed with the space bar.
  if (details.contains(on) && ["ArrowUp", "ArrowDown"].includes(event.key)) return;
  if (event.key === " " && on.matches("button, summary, a")) return;
  if (event.key === "Enter" && on.matches(".node")) visit(Number(on.dataset.node));
  else if (event.shiftKey && shifted[event.key]) {
    view.x += shifted[event.key][0];
    view.y += shifted[event.key][1];
    place();
  } else if (keys[event.key]) {
    event.preventDefault();
    const follow = on.matches(".node") && event.key !== "/";
    keys[event.key]();
    if (follow) boxes[nodeOfStep[state.step]].focus();
  }
});

// --- search ----------------------------------------------------------------------------------

const query = byId("query");
const search = { matches: [], at: -1 };

/** All that is written about a node, in small letters. */
const written = content.nodes.map((node, number) => {
  const step = stepOfNode.get(number);
  const parts = [node.name];
  if (node.leaf !== undefined) parts.push(content.leaves[node.leaf].name);
  if (step !== undefined) {
    const line = content.lines[content.steps[step].line];
    if (line) parts.push(`${line.file}:${line.number}`, line.text);
    parts.push(...kindOf(step).rules.map((rule) => rule.source));
  }
  return parts.join("\n").toLowerCase();
});

function find() {
  const wanted = query.value.trim().toLowerCase();
  search.matches = wanted ? written.flatMap((text, number) =>
    (text.includes(wanted) ? [number] : [])) : [];
  search.at = -1;
  picture.classList.toggle("searching", wanted !== "");
  boxes.forEach((box, number) => box.classList.toggle("match", search.matches.includes(number)));
  byId("found").textContent = wanted === "" ? "" : `${search.matches.length || "none"} found`;
}

function showMatch(by) {
  const count = search.matches.length;
  if (count === 0) return;
  search.at = search.at < 0 && by < 0 ? count - 1 : (search.at + by + count) % count;
  byId("found").textContent = `${search.at + 1} of ${count}`;
  visit(search.matches[search.at]);
  bringIntoSight(search.matches[search.at], true);
}

query.addEventListener("input", find);
query.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    showMatch(event.shiftKey ? -1 : 1);
  }
});
byId("search").addEventListener("submit", (event) => event.preventDefault());

// --- theme and beginning ---------------------------------------------------------------------

const darkWanted = matchMedia("(prefers-color-scheme: dark)");

function useTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  byId("theme").setAttribute("aria-pressed", String(dark));
}

byId("theme").addEventListener("click", () =>
  useTheme(document.documentElement.dataset.theme !== "dark"));
darkWanted.addEventListener("change", () => useTheme(darkWanted.matches));
useTheme(darkWanted.matches);

/** `backward.html#7` begins at step 7. */
const asked = () => (/^#\d+$/.test(location.hash) ? Number(location.hash.slice(1)) - 1 : 0);
addEventListener("hashchange", () => {
  if (/^#\d+$/.test(location.hash)) byHand(() => go(asked()));
});
addEventListener("resize", () => bringIntoSight(nodeOfStep[state.step]));

slider.max = last;
firstView(Math.max(0, Math.min(last, asked())));
go(asked());
