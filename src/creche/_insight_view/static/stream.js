// The messages from the viewer's process. Owns the token, the key, and the connection.

const KEY = "creche key";

/** Change the token of the address for a key, once. Return why that cannot be, or "". */
export async function open() {
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(null, "", "/");
    const answer = await fetch("key", {method: "POST", body: token});
    if (!answer.ok) {
      if (answer.status === 403 && sessionStorage.getItem(KEY)) return "";
      return answer.text();
    }
    sessionStorage.setItem(KEY, (await answer.json()).key);
  }
  return sessionStorage.getItem(KEY) ? "" : "Open the address that the terminal shows.";
}

export const ask = (path) => fetch(path, {headers: {Authorization: `Bearer ${sessionStorage.getItem(KEY)}`}});

/** Give each message to a function, until there are no more; return why that is, or "". */
export async function follow(take) {
  const answer = await ask("changes");
  if (!answer.ok) return answer.text();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return "";
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) take(JSON.parse(line));
  }
}
