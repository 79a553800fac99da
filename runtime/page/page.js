// Messages of the program -> picture, bars, timeline. Text is only ever set as textContent.
"use strict";

const $ = (id) => document.getElementById(id);
const FACES = 12; // cards at a time: a crowd is counted, not listed
const ROWS = 5; // faces in the timeline, those seen most and those seen now
const OK = "online";
const SILENCE = 10; // seconds: the program says something every second

let socket = null;
let heard = 0; // when it said something last
let tries = 0;
let about = { labels: [], colours: [], muted: "#969696", reach: 300, step: 0.5, points: [] };
let said = "";
let drawn = 0; // when the timeline was drawn last
let asked = false; // whether the button waits for an answer

// The link's token has become a cookie: it need not stay in the address, or in the history.
if (location.search) history.replaceState(null, "", "/");

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/live`);
  socket.binaryType = "arraybuffer";
  heard = performance.now();
  // A line of JSON, and after it the picture that it is about, if there is one.
  socket.onmessage = (event) => {
    heard = performance.now();
    const bytes = new Uint8Array(event.data);
    const end = bytes.indexOf(10);
    const news = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end < 0 ? undefined : end)));
    if (news.labels) welcome(news);
    else show(event.target, news, end < 0 ? null : bytes.subarray(end + 1));
  };
  socket.onclose = (event) => { if (event.target === socket) again(); };
}

// A program that hangs, or a network that is gone, closes nothing.
setInterval(() => {
  if (socket && performance.now() - heard > 1000 * SILENCE) {
    const old = socket;
    again();
    old.close();
  }
}, 1000);

async function again() {
  socket = null;
  if (document.hidden) return;
  lost("the program does not answer; trying again");
  const wait = Math.min(1000 * 2 ** tries++, 10000);
  try {
    const answer = await fetch("/api/status", { signal: AbortSignal.timeout(5000) });
    if (answer.status === 401 || answer.status === 403) {
      lost("the program asks for a new token: open the link that it printed");
    } else {
      const { viewers, most_viewers: most } = await answer.json();
      if (viewers >= most) lost(`${most} are watching already, which is the most; trying again`);
    }
  } catch { /* it is not there */ }
  setTimeout(() => { if (!socket && !document.hidden) connect(); }, wait);
}

// A page that nobody looks at costs the program nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    const old = socket;
    socket = null;
    old?.close();
  } else if (!socket) {
    connect();
  }
});

function welcome(news) {
  about = news;
  tries = turns = 0;
  // Another program's faces have other labels.
  cards.clear();
  $("cards").replaceChildren();
  $("legend").replaceChildren(...about.labels.map((label, i) => {
    const item = document.createElement("li");
    const patch = document.createElement("i");
    patch.style.background = about.colours[i];
    item.append(patch, label);
    return item;
  }));
}

async function show(from, news, data) {
  if (data?.length) {
    try {
      const image = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
      const canvas = $("picture");
      if (canvas.width !== image.width || canvas.height !== image.height) {
        canvas.width = image.width;
        canvas.height = image.height;
      }
      canvas.getContext("2d").drawImage(image, 0, 0);
      image.close();
    } catch { /* it was damaged on its way; the next one comes soon */ }
  }
  if (from !== socket) return;
  socket.send("");
  status(news.status, news.way);
  if (news.readings) faces(news.readings.faces);
  point(news);
}

// --- how the source is doing -----------------------------------------------------------------------

function status(now, way) {
  $("source").textContent = now.source;
  document.title = `${now.source} – Edgemood`;
  state(now.state, now.age, now.reason);
  $("fps").textContent = now.fps === null ? "–" : now.fps.toFixed(0);
  $("ms").textContent = `${now.ms.toFixed(0)} ms`;
  $("latency").textContent = way === null ? "–" : `${(now.ms + way).toFixed(0)} ms`;
  $("frames").textContent = now.frames.toLocaleString();
  $("dropped").textContent = now.dropped.toLocaleString();
  recording(now.recording);
}

function state(name, age, reason) {
  const chip = $("state");
  const since = name === OK || age === null ? "" : ` for ${age.toFixed(0)} s`;
  const why = name !== OK && reason ? `: ${reason}` : "";
  chip.textContent = name;
  $("notice").textContent = `${name}${since}${why}`;
  $("notice").hidden = name === OK;
  $("main").classList.toggle("lost", name !== OK);
  if (chip.dataset.state !== name) say(`The source is ${name}`);
  chip.dataset.state = name;
}

function lost(why) {
  state("not connected", null, why);
  $("record").disabled = true;
}

// For screen readers: what changes seldom. Faces can be read at any time, and are not called out.
function say(words) {
  if (words !== said) $("said").textContent = words;
  said = words;
}

// --- faces -----------------------------------------------------------------------------------------

const cards = new Map(); // track -> its elements

function card(track) {
  const article = document.createElement("article");
  const title = document.createElement("h3");
  const name = document.createElement("span");
  const doubt = document.createElement("small");
  title.append(name, doubt);
  const list = document.createElement("ul");
  list.className = "bars";
  const rows = about.labels.map((label) => {
    const row = document.createElement("li");
    const words = document.createElement("span");
    words.textContent = label;
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.setAttribute("aria-hidden", "true");
    const fill = document.createElement("i");
    bar.append(fill);
    const percent = document.createElement("b");
    row.append(words, bar, percent);
    list.append(row);
    return { label, row, fill, percent };
  });
  article.append(title, list);
  const made = { article, name, doubt, rows };
  cards.set(track, made);
  const later = [...cards.keys()].filter((other) => other > track).sort((a, b) => a - b)[0];
  $("cards").insertBefore(article, later ? cards.get(later).article : null);
  return made;
}

function faces(seen) {
  const listed = seen.slice(0, FACES);
  const tracks = new Set(listed.map((face) => face.track));
  for (const [track, { article }] of cards) {
    if (!tracks.has(track)) {
      article.remove();
      cards.delete(track);
    }
  }
  for (const face of listed) {
    const { name, doubt, rows } = cards.get(face.track) ?? card(face.track);
    name.textContent = `Face ${face.track}: ${face.emotion}`;
    doubt.textContent = face.unsure ? `unsure, ${face.unsure}` : "";
    rows.forEach(({ label, row, fill, percent }, i) => {
      const top = label === face.emotion;
      row.classList.toggle("top", top);
      fill.style.background = top && !face.unsure ? about.colours[i] : about.muted;
      fill.style.transform = `scaleX(${face.probabilities[label]})`;
      percent.textContent = `${Math.round(face.probabilities[label] * 100)} %`;
    });
  }
  const more = seen.length - listed.length;
  $("nobody").hidden = seen.length > 0 && more === 0;
  $("nobody").textContent = more > 0 ? `And ${more} more.` : "No face is seen.";
  const words = seen.length === 1 ? "1 face" : `${seen.length || "no"} faces`;
  $("picture").setAttribute("aria-label", `Live picture with ${words}`);
}

// --- the last minutes ------------------------------------------------------------------------------

function point(news) {
  const points = about.points;
  const last = points.length ? points[points.length - 1][0] : -1;
  if (news.readings && news.at - last >= about.step) {
    points.push([news.at, news.readings.faces.map((f) => [f.track, f.emotion, f.unsure !== null])]);
    while (points[0][0] < news.at - about.reach) points.shift();
  }
  const now = performance.now();
  if (now - drawn > 500) {
    drawn = now;
    timeline(news.at);
  }
}

function timeline(at) {
  const counts = new Map(); // track -> label -> points
  for (const [, seen] of about.points) {
    for (const [track, label] of seen) {
      const labels = counts.get(track) ?? counts.set(track, new Map()).get(track);
      labels.set(label, (labels.get(label) ?? 0) + 1);
    }
  }
  const total = (track) => [...counts.get(track).values()].reduce((a, b) => a + b, 0);
  const [, present] = about.points.at(-1) ?? [0, []];
  const weight = (track) => total(track) + (present.some(([t]) => t === track) ? 1e6 : 0);
  const rows = [...counts.keys()].sort((a, b) => weight(b) - weight(a)).slice(0, ROWS)
    .sort((a, b) => a - b);
  const canvas = $("timeline");
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  const left = 56, bottom = height - 22;
  const across = (time) => left + (width - left - 8) * (1 - (at - time) / about.reach);
  const row = (bottom - 8) / Math.max(rows.length, 1);
  for (let minutes = 0; minutes <= about.reach / 60; minutes += width < 500 ? 2 : 1) {
    const x = across(at - minutes * 60);
    pen.fillStyle = "#4a4a4a";
    pen.fillRect(x, 8, 1, bottom - 8);
    pen.fillStyle = "#e0e0e0";
    pen.textAlign = minutes ? "center" : "right";
    pen.fillText(minutes ? `−${minutes} min` : "now", x, height - 10);
  }
  pen.textAlign = "left";
  rows.forEach((track, i) => pen.fillText(`Face ${track}`, 6, 8 + row * (i + 0.5)));
  about.points.forEach(([time, seen], at) => {
    // Until the next point, unless there was a gap.
    const next = about.points[at + 1]?.[0] ?? time + about.step;
    const wide = across(Math.min(next, time + 2.5)) - across(time);
    for (const [track, label, unsure] of seen) {
      const i = rows.indexOf(track);
      if (i < 0) continue;
      pen.fillStyle = about.colours[about.labels.indexOf(label)];
      // Thin where it is unsure, so that colour is not all that tells it.
      const high = Math.min(row - 4, 28) * (unsure ? 0.25 : 1);
      pen.fillRect(across(time), 8 + row * (i + 0.5) - high / 2, wide + 0.5, high);
    }
  });
  canvas.setAttribute("aria-label", rows.map((track) => {
    const shares = [...counts.get(track)].sort((a, b) => b[1] - a[1])
      .map(([label, count]) => `${label} ${Math.round((100 * count) / total(track))} %`);
    return `Face ${track}: ${shares.join(", ")}`;
  }).join(". ") || "Nobody was seen");
}

// --- recording -------------------------------------------------------------------------------------

let records = false;
let turns = 0; // news on their way may be older than an answer

function recording(now) {
  if (now.turns < turns) return;
  turns = now.turns;
  const button = $("record");
  button.disabled = asked;
  button.textContent = now.on ? "Stop recording" : "Start recording";
  const frames = `${now.frames.toLocaleString()} frames`;
  let words = "Recording writes each frame’s readings to a file where the program runs.";
  if (now.on) words = `Recording to ${now.file}, ${frames} so far.`;
  else if (now.file) words = `${now.file} has ${frames}; it is in the folder where the program runs.`;
  if (now.fault) words = `The recording ended: ${now.fault}. ${now.file ? words : ""}`;
  $("recording").textContent = words;
  if (records !== now.on) say(now.on ? "Recording" : "The recording has ended");
  records = now.on;
}

$("record").addEventListener("click", async () => {
  asked = true;
  $("record").disabled = true;
  try {
    const answer = await fetch(`/api/recording/${records ? "stop" : "start"}`, { method: "POST" });
    asked = false;
    if (answer.ok) recording(await answer.json());
  } catch { asked = false; /* the socket will tell */ }
  $("record").focus();
});

connect();
