/** Who may log in on a machine, and how. */
import { OscaError, reasonOf } from '../core/errors.ts';
import type { Login } from './ssh.ts';
import { lastWords, must, quoted, Ssh } from './ssh.ts';

export interface Entry {
  login: Login;
  trusts(fingerprint: string): boolean;
}

const keysFile = `home=$(getent passwd "\${SUDO_USER-$(id -un)}" | cut -d: -f6); f=$home/.ssh/authorized_keys`;

/** A public key more for the user who logs in; true where it was not there before. */
export async function authorize(ssh: Ssh, key: string): Promise<boolean> {
  const line = key.trim();
  const command = `${keysFile}; own=$(stat -c %u:%g "$home"); install -d -m 700 "$home/.ssh"; touch "$f"; [ -z "$(tail -c 1 "$f")" ] || echo >>"$f"; grep -qxF ${quoted(line)} "$f" || { printf '%s\\n' ${quoted(line)} >>"$f" && echo added; }; chmod 600 "$f"; chown "$own" "$home/.ssh" "$f"`;
  return (await must(ssh, command, 'the key could not be added')).includes('added');
}

export async function unauthorize(ssh: Ssh, key: string): Promise<void> {
  const rest = `{ grep -vxF ${quoted(key.trim())} "$f" || true; } >"$f.new" && cat "$f.new" >"$f" && rm "$f.new"`;
  await must(ssh, `${keysFile}; ${rest}`, 'the key could not be removed again');
}

const offFile = '/etc/ssh/sshd_config.d/00-osca.conf';

/** Throws where no key lets us in. */
export async function byKey({ login: { password: _, ...login }, trusts }: Entry): Promise<void> {
  try {
    (await Ssh.open(login, trusts)).end();
  } catch (error) {
    throw new OscaError(
      'denied',
      `password logins stay on, as no key lets ${login.user} in: ${reasonOf(error)}`,
      'give the key with --key FILE, and its public half with --authorize FILE.pub',
    );
  }
}

/** And back where a key does not let us in any more. */
export async function passwordsOff(ssh: Ssh, request: Entry): Promise<void> {
  const reload = 'systemctl reload ssh.service 2>/dev/null || systemctl reload sshd.service';
  const off = `grep -Eq '^[[:space:]]*Include[[:space:]]+/etc/ssh/sshd_config.d/' /etc/ssh/sshd_config || { echo '/etc/ssh/sshd_config does not include sshd_config.d' >&2; exit 1; }; printf 'PasswordAuthentication no\\nKbdInteractiveAuthentication no\\n' >${offFile} && sshd -t && sshd -T | grep -qix 'passwordauthentication no' && { ${reload}; } || { echo 'another line of /etc/ssh/sshd_config goes before it' >&2; exit 1; }`;
  const { code: wasOff } = await ssh.run(`[ -e ${offFile} ]`);
  const back = wasOff === 0 ? 'true' : `rm -f ${offFile}; ${reload}`;
  const done = await ssh.run(off);
  const fails = done.code === 0 ? await tries(request) : lastWords(done.stderr);
  if (fails !== undefined) {
    await ssh.run(back);
    throw new OscaError(
      'internal',
      `password logins stay on: ${fails}`,
      `on it: write 'PasswordAuthentication no' into ${offFile}, and reload ssh`,
    );
  }
}

/** sshd that reads its settings anew answers nobody for a moment. Why no key lets us in, after some. */
async function tries(request: Entry): Promise<string | undefined> {
  for (let left = 20; ; left--) {
    const fails = await byKey(request).then(() => undefined, reasonOf);
    if (fails === undefined || left === 0) return fails;
    await new Promise((done) => setTimeout(done, 250));
  }
}
