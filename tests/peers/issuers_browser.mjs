// A person's browser, as far as signing in needs one: follows redirects, keeps cookies, and submits the forms of a page as
// they stand. Says what the last page said.
//
//   node issuers_browser.mjs URL [FIELD=VALUE...]      the fields are filled into forms that have them
const [start, ...given] = process.argv.slice(2);
const fill = Object.fromEntries(given.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
const jar = new Map();

async function go(url, body) {
  for (let hops = 0; hops < 20; hops++) {
    const headers = { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') };
    if (body) headers['content-type'] = 'application/x-www-form-urlencoded';
    const answer = await fetch(url, { method: body ? 'POST' : 'GET', body, headers, redirect: 'manual' });
    for (const cookie of answer.headers.getSetCookie()) {
      const [name, value] = cookie.split(';')[0].split(/=(.*)/s);
      if (value) jar.set(name, value); else jar.delete(name);
    }
    const to = answer.headers.get('location');
    if (!to) return { url, status: answer.status, page: await answer.text() };
    url = new URL(to, url).href;
    body = undefined;
  }
  throw new Error('too many redirects');
}

let at = await go(start);
for (let forms = 0; forms < 6; forms++) {
  const form = at.page.match(/<form[^>]*>([\s\S]*?)<\/form>/);
  if (!form) break;
  const action = form[0].match(/action="([^"]*)"/)?.[1] || at.url;
  const fields = new URLSearchParams();
  for (const [input] of form[1].matchAll(/<(?:input|button)[^>]*>/g)) {
    const name = input.match(/name="([^"]*)"/)?.[1];
    if (name && name !== 'abort') fields.set(name, fill[name] ?? input.match(/value="([^"]*)"/)?.[1] ?? '');
  }
  at = await go(new URL(action.replaceAll('&amp;', '&'), at.url).href, fields.toString());
}
console.log(at.status, at.page.replace(/<style[\s\S]*?<\/style>|<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim().slice(0, 300));
process.exit(at.status === 200 ? 0 : 1);
