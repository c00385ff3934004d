/** Sees from outside who is there, sound and within reach, and since when: what no cell can know, and by which their views are judged. */
import type { SimHost } from './host.ts';
import type { World } from './world.ts';

/** Who is sound is not down for so long in the view of somebody who is so too. */
const heldMs = 10_000;
/** After so long without any fault of theirs, or of the network, a death is a false one. */
const calmMs = 10_000;
/** As many watch each cell, where there are so many. */
const observers = 5;

export class Witness {
  readonly #world: World;
  /** Of those that are up, not paused or slow, and within reach of most: since when, and in which life. */
  readonly #sound = new Map<string, { sinceMs: number; life: number }>();
  /** Of one that is sound in the view of another: since when it is down there. */
  #held = new Map<string, number>();
  #wholeSinceMs = 0;
  #heard: number;

  constructor(world: World) {
    this.#world = world;
    this.#heard = world.events.length;
  }

  /** To be called at every moment that is looked at. What is wrong, where something is. */
  look(): { name: string; detail: string } | undefined {
    const { nowMs, network } = this.#world;
    if (!network.isWhole(nowMs)) this.#wholeSinceMs = nowMs;
    for (const host of this.#world.hosts.values()) {
      const known = this.#sound.get(host.name);
      if (!this.#isSound(host)) this.#sound.delete(host.name);
      else if (known?.life !== host.life) this.#sound.set(host.name, { sinceMs: nowMs, life: host.life });
    }
    const died = this.#falseDeath();
    if (died !== undefined) return { name: 'nobody dies who is there', detail: died };
    const held = this.#heldDown();
    return held === undefined ? undefined : { name: 'who is there is not down for long', detail: held };
  }

  #isSound(host: SimHost): boolean {
    const { nowMs, network, hosts } = this.#world;
    if (host.cell === undefined || host.slowMs > 0 || host.pausedUntilMs > nowMs) return false;
    if (network.isWhole(nowMs)) return true;
    if (network.isBurst(nowMs)) return false;
    let near = 0;
    for (const { name, cell } of hosts.values()) if (cell !== undefined && this.#isBetween(host.name, name)) near++;
    return near > hosts.size / 2;
  }

  /** Do they hear each other? */
  #isBetween(one: string, other: string): boolean {
    const { network } = this.#world;
    return network.reaches(one, other) && network.reaches(other, one);
  }

  #isSoundFor(name: string, forMs: number, atMs = this.#world.nowMs): boolean {
    const sinceMs = this.#sound.get(name)?.sinceMs;
    return sinceMs !== undefined && sinceMs <= atMs - forMs;
  }

  /** Told by one who was sound, of one who was, in a network that was whole, and not by those who were not. */
  #falseDeath(): string | undefined {
    const { events, hosts } = this.#world;
    const fresh = events.slice(this.#heard);
    this.#heard = events.length;
    const unsound = [...hosts.values()].filter(
      ({ name, cell }) => cell !== undefined && !this.#isSoundFor(name, calmMs),
    ).length;
    if (unsound > Math.min(observers, hosts.size - 1) / 2) return undefined;
    for (const { kind, host, message, atMs } of fresh) {
      const name = message.replace(/ is down$/, '');
      if (kind !== 'cell.down' || this.#wholeSinceMs > atMs - calmMs) continue;
      if (this.#isSoundFor(host, calmMs, atMs) && this.#isSoundFor(name, calmMs, atMs))
        return `${name} was there, and ${host} held it dead at ${Math.round(atMs)} ms`;
    }
    return undefined;
  }

  #heldDown(): string | undefined {
    const { nowMs } = this.#world;
    const before = this.#held;
    this.#held = new Map();
    const sound = this.#world.up().filter(({ name }) => this.#sound.has(name));
    const names = new Map(sound.map(({ id, name }) => [id, name]));
    for (const { name } of sound) {
      const { members } = this.#world.view(name);
      for (const { id, state } of members) {
        const other = state === 'down' ? names.get(id) : undefined;
        if (other === undefined || !this.#isBetween(name, other)) continue;
        // Those that may watch it, and do not hear it: fewer than can be a majority of five.
        const watching = members.filter((one) => one.id !== id && (one.state === 'alive' || one.state === 'suspect'));
        const unheard = watching.filter((one) => !this.#isBetween(one.name, other)).length;
        if (unheard > Math.min(observers, watching.length) / 2) continue;
        const sinceMs = before.get(`${name} ${other}`) ?? nowMs;
        this.#held.set(`${name} ${other}`, sinceMs);
        if (nowMs - sinceMs > heldMs)
          return `${other} is there, and down for ${name} since ${Math.round(sinceMs)} ms at least`;
      }
    }
    return undefined;
  }
}
