// What a link opens: the path says what it is about, and what stands behind "#" is its token.
"use strict";

const FIELDS = {
  email: { label: "E-mail address", type: "email", autocomplete: "username" },
  name: { label: "Name", type: "text", autocomplete: "name" },
  password: {
    label: "Password", type: "password", autocomplete: "new-password",
    hint: "At least 12 characters; a few words that do not belong together are best.",
  },
};

const PAGES = {
  "/setup": {
    title: "Set up this installation", about: "The first account owns the installation.",
    fields: ["email", "name", "password"], send: "/v1/setup", button: "Make the account",
    done: "The account is made. Sign in on the command line: weir login",
  },
  "/accept": {
    title: "An invitation", fields: ["name", "password"], send: "/v1/invitations/accept", button: "Accept",
    done: "You are a member now. Sign in on the command line: weir login",
  },
  "/reset": {
    title: "A new password", about: "All your sessions end.", fields: ["password"], send: "/v1/password/reset",
    button: "Set the password", done: "The password is set. Sign in on the command line: weir login",
  },
  "/verify": {
    title: "Verify your address", fields: [], send: "/v1/email/verify", button: "It is mine",
    done: "Your address is verified.",
  },
};

const element = (id) => document.getElementById(id);
const token = location.hash.slice(1);
const page = PAGES[location.pathname];

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" }, cache: "no-store",
  });
  const text = await answer.text();
  return { ok: answer.ok, body: text === "" ? {} : JSON.parse(text) };
}

function say(text, isFault) {
  element("status").textContent = text;
  element("status").className = isFault ? "fault" : "";
}

function show(names) {
  for (const name of names) {
    const { label, type, autocomplete, hint } = FIELDS[name];
    const title = document.createElement("label");
    title.htmlFor = name;
    title.textContent = label;
    const input = Object.assign(document.createElement("input"), { id: name, name, type, autocomplete, required: true });
    const note = Object.assign(document.createElement("small"), { id: `${name}-note`, textContent: hint ?? "" });
    input.setAttribute("aria-describedby", note.id);
    element("fields").append(title, input, note);
  }
  element("submit").textContent = page.button;
  element("form").hidden = false;
  element("fields").querySelector("input")?.focus();
}

function refuse(problem) {
  let isShown = false;
  for (const { pointer, detail } of problem.errors ?? []) {
    const input = element(pointer.replace("/", ""));
    if (input?.tagName === "INPUT") {
      input.setAttribute("aria-invalid", "true");
      const note = element(`${input.id}-note`);
      note.textContent = `It ${detail}.`;
      note.className = "fault";
      if (!isShown) input.focus();
      isShown = true;
    }
  }
  say(isShown ? "" : problem.detail ?? "This failed.", true);
}

async function submit(event) {
  event.preventDefault();
  const body = { token };
  for (const name of page.fields) {
    const input = element(name);
    input.removeAttribute("aria-invalid");
    body[name] = input.value;
  }
  element("submit").disabled = true;
  say("", false);
  try {
    const { ok, body: answer } = await post(page.send, body);
    if (!ok) return refuse(answer);
    element("form").hidden = true;
    element("about").textContent = "";
    say(page.done, false);
  } catch {
    say("Weir did not answer. Try again in a moment.", true);
  } finally {
    element("submit").disabled = false;
  }
}

async function begin() {
  // Neither the history nor a screen that others see is to have it.
  history.replaceState(null, "", location.pathname);
  element("title").textContent = page.title;
  document.title = `${page.title} · Weir`;
  if (token === "") {
    element("about").textContent = "";
    return say("The link is not complete: something has to stand behind # in it.", true);
  }
  element("about").textContent = page.about ?? "";
  if (location.pathname === "/accept") {
    const { ok, body: offer } = await post("/v1/invitations/look", { token });
    if (!ok) {
      element("about").textContent = "";
      return say("This link opens nothing any more: ask for another one.", true);
    }
    element("about").textContent = `${offer.email} is invited to ${offer.organization}.`;
    if (offer.has_account) {
      return say("This address has an account. Sign in with it and accept on the command line: weir login, then weir accept with the link.", false);
    }
  }
  element("form").addEventListener("submit", submit);
  show(page.fields);
}

begin().catch(() => say("Weir did not answer. Load the link again in a moment.", true));
