/**
 * A crowded Wi-Fi in World: a twentieth of all frames is lost, the rest takes up to 100 ms a hop, and every cell is stopped for half a
 * second once a minute. How often is a living cell held dead, and how soon is a dead one known?
 */
import { grown } from '../test/sim/makers.ts';
import { wifi } from '../test/sim/network.ts';
import { series } from './measure.ts';

const day = 86_400_000;

export function benchWifi({
  cells,
  minutes,
  seed,
  tell,
}: {
  cells: number;
  minutes: number;
  seed: string;
  tell(text: string): void;
}): object {
  const world = grown(cells, { seed, hears: 5, network: wifi });
  const random = world.random.fork('pauses');
  for (const { name } of world.up()) {
    const pause = (): void => {
      world.pause(name, 500);
      world.after(random.between(30_000, 90_000), pause);
    };
    world.after(random.between(0, 60_000), pause);
  }
  world.run(30_000);
  const told = world.events.length;
  const startMs = world.nowMs;
  for (let minute = 0; minute < minutes; minute++) {
    world.run(60_000);
    if (minute % 10 === 9) tell(`  ${minute + 1} minutes`);
  }
  const cellDays = ((world.nowMs - startMs) * cells) / day;
  // One death is told by all; each that is held dead counts once a minute.
  const deaths = new Set(
    world.events
      .slice(told)
      .filter(({ kind }) => kind === 'cell.down')
      .map(({ message, atMs }) => `${message} ${Math.floor(atMs / 60_000)}`),
  );
  const times: number[] = [];
  for (const victim of [...world.hosts.keys()].filter((_, i) => i % Math.floor(cells / 10) === 1).slice(0, 10)) {
    const { id } = world.hosts.get(victim)!;
    world.powerOff(victim);
    const knows = (name: string) => world.view(name).members.find((member) => member.id === id)?.state === 'down';
    times.push(Math.round(world.until(() => world.up().every(({ name }) => knows(name)), 60_000, 'all know', 20)));
    world.run(3_000);
  }
  return {
    what: `${cells} cells in World on Wi-Fi: 5 % loss, up to 100 ms a hop, each stopped for 0.5 s a minute; virtual ms`,
    cellDays: Math.round(cellDays * 100) / 100,
    falseDeaths: deaths.size,
    deathKnownByAllMs: series(times),
    target: { falseDeathsPer1000CellDays: 1, deathMs: 5_000 },
    met: deaths.size === 0 && Math.max(...times) <= 5_000,
  };
}
