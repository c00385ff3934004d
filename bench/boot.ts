/**
 * From power to member, emulated: QEMU's boards and a PC, each alone on this machine, started from the image as `osca image build` makes it. Beside it the same start
 * up to where ssh answers, which is the system without OSCA and Docker; then the same after a power cut, and what is in use at rest.
 */
import type { BoardKind } from '../test/image/board.ts';
import { Board, buildImage } from '../test/image/board.ts';
import { Lab } from '../test/lab/lab.ts';
import { until } from '../test/until.ts';

interface Start {
  sshSeconds: number;
  memberSeconds: number;
}

async function boot(kind: BoardKind) {
  const lab = await Lab.up(1);
  let board: Board | undefined;
  const stop = (): void => {
    void board?.powerOff();
    lab.down();
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const host = lab.host(1);
    const isPi = kind === 'virt' || kind === 'raspi3b';
    await host.up('--name', 'h1', '--engine', 'none', '--found');
    const { ticket } = await host.json<{ ticket: string }>('ticket', 'create', '--uses', '9');
    const { image, key } = await buildImage(lab, isPi ? 'arm64' : 'amd64', ticket);
    board = new Board(lab, 1, kind, image, key);
    const cell = async () => (await host.cells()).find(({ name }) => name === 'b1');
    const start = async (): Promise<Start> => {
      const startMs = performance.now();
      const seconds = (): number => Math.round((performance.now() - startMs) / 100) / 10;
      board!.powerOn();
      let sshSeconds = 0;
      const ssh = until('ssh answers', async () => (await board!.sh('true')).code === 0, 600_000).then(
        () => (sshSeconds = seconds()),
      );
      await until('a member', async () => (await cell())?.state === 'alive', 600_000);
      const memberSeconds = seconds();
      await ssh;
      return { sshSeconds, memberSeconds };
    };
    const first = await start();
    await until('its engine answers', async () => (await cell())?.engine.startsWith('Docker') === true, 300_000);
    const stages = await board.ok(
      'systemctl is-system-running --wait; systemd-analyze time; systemd-analyze critical-chain osca.service',
    );
    // Sectors of 512 bytes, since it started.
    const written = async (): Promise<number> =>
      Number(await board!.ok('awk "{print \\$7}" /sys/class/block/$(basename $(findmnt -no SOURCE /))/stat')) / 2;
    const before = await written();
    await new Promise((done) => setTimeout(done, 120_000));
    const rootWrittenKb = (await written()) - before;
    const used = await board.ok(
      'awk "/VmRSS/{print \\$2}" /proc/$(systemctl show -p MainPID --value osca)/status; free -k | awk "/Mem:/{print \\$3}"; ps -eo rss,comm --sort=-rss | head -12',
    );
    const [daemon, all, ...processes] = used.trim().split('\n');
    await board.powerOff();
    await until('it is missed', async () => (await cell())?.state !== 'alive', 60_000);
    const afterCut = await start();
    const mb = (kb: string | undefined): number => Math.round(Number(kb) / 102.4) / 10;
    return {
      kind,
      first,
      afterCut,
      daemonMb: mb(daemon),
      usedMb: mb(all),
      rootWrittenKb,
      processes,
      stages: stages.trim().split('\n'),
    };
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
    await board?.powerOff();
    lab.down();
  }
}

interface Target {
  memberSeconds: number;
  daemonMb: number;
  usedMb: number;
}

const target: Target = { memberSeconds: 75, daemonMb: 90, usedMb: 320 };
const targets: Partial<Record<BoardKind, Target>> = { raspi3b: { ...target, memberSeconds: 150 } };

export async function benchBoot(tell: (text: string) => void): Promise<object> {
  const kinds = (process.env.OSCA_BOARDS ?? 'virt,raspi3b,uefi').split(',') as BoardKind[];
  const boards: object[] = [];
  for (const kind of kinds) {
    tell(kind);
    const seen = await boot(kind);
    const { memberSeconds, daemonMb, usedMb } = targets[kind] ?? target;
    const slowest = Math.max(seen.first.memberSeconds, seen.afterCut.memberSeconds);
    const met = slowest <= memberSeconds && seen.daemonMb <= daemonMb && seen.usedMb <= usedMb;
    boards.push({ ...seen, target: { memberSeconds, daemonMb, usedMb }, met });
    tell(JSON.stringify(boards.at(-1), null, 2));
  }
  return { boards };
}
