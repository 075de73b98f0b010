// Unpacks what the page carries: gzip in base64 in a script element of its own.
"use strict";

const byId = (id) => document.getElementById(id);

async function unpack(id) {
  const text = byId(id).textContent;
  let bytes;
  if (Uint8Array.fromBase64) {
    bytes = Uint8Array.fromBase64(text);
  } else {
    const letters = atob(text);
    bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  }
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const unpackText = async (id) => new TextDecoder().decode(await unpack(id));
const unpackJson = async (id) => JSON.parse(await unpackText(id));

function tellTrouble(sentence) {
  const box = byId("trouble");
  box.hidden = false;
  if (![...box.children].some((told) => told.textContent === sentence)) box.append(element("p", sentence));
}

function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  if (text !== "") made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
