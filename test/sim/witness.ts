/** Sees from outside who is there, sound and within reach, and since when: what no cell can know, and by which their views are judged. */
import type { SimHost } from './host.ts';
import type { World } from './world.ts';

/** Who is sound is not down for so long in the view of somebody who hears it. */
const heldMs = 10_000;
/** Of many, one that starts may hear of another late. */
const heldOfManyMs = 30_000;
const many = 12;
/** After so long without a fault of its own, or of too many others, a death is a false one. */
const calmMs = 10_000;
/** A machine whose daemon is stopped for so long is not dead yet. */
const shortPauseMs = 2_000;
/** As many watch each cell, where there are so many; a majority of them makes a death. */
const observers = 5;

export class Witness {
  readonly #world: World;
  readonly #isInside: (name: string) => boolean;
  /** Of those that are up, and not slow or stopped for long: since when, and in which life. */
  readonly #sound = new Map<string, { sinceMs: number; life: number }>();
  /** Since when too few to be a majority of its observers can be wrong about a host. */
  readonly #clear = new Map<string, number>();
  /** Of one that is sound in the view of another: since when it is down there. */
  #held = new Map<string, number>();
  #heard: number;

  /** `isInside`: strangers, and who was removed, are not judged, and judge nobody. */
  constructor(world: World, isInside: (name: string) => boolean) {
    this.#world = world;
    this.#isInside = isInside;
    this.#heard = world.events.length;
  }

  /** To be called at every moment that is looked at. What is wrong, where something is. */
  look(): { name: string; detail: string } | undefined {
    const { nowMs } = this.#world;
    for (const host of this.#world.hosts.values()) {
      const { name, life } = host;
      if (!this.#isSound(host)) this.#sound.delete(name);
      else if (this.#sound.get(name)?.life !== life) this.#sound.set(name, { sinceMs: nowMs, life });
    }
    this.#lookWho();
    const died = this.#falseDeath();
    if (died !== undefined) return { name: 'nobody dies who is there', detail: died };
    const held = this.#heldDown();
    return held === undefined ? undefined : { name: 'who is there is not down for long', detail: held };
  }

  #isSound({ name, cell, slowMs, pausedUntilMs }: SimHost): boolean {
    return (
      this.#isInside(name) && cell !== undefined && slowMs === 0 && pausedUntilMs - this.#world.nowMs <= shortPauseMs
    );
  }

  /**
   * Who hears all but those who hear nobody; and those, and the slow ones, are fewer than can be a majority of its observers. Since when
   * is kept.
   */
  #lookWho(): void {
    const { nowMs, network } = this.#world;
    const up = this.#world.up().filter(({ name }) => this.#isInside(name));
    const slow = up.filter(({ slowMs }) => slowMs > 0).length;
    const heard = (name: string): number =>
      up.filter((other) => other.name === name || this.#isBetween(name, other.name)).length;
    const counts = network.isWhole ? undefined : new Map(up.map(({ name }) => [name, heard(name)]));
    const lonely = [...(counts ?? [])].filter(([, count]) => count <= 1).length;
    const isClear = ({ name, slowMs }: SimHost): boolean => {
      const others = up.length - 1;
      // What one alone says of the other, where frames are lost, is a matter of luck.
      if (network.isBurst(nowMs) || (others < 2 && network.options.lossPercent > 0)) return false;
      const unheard = up.length - (counts?.get(name) ?? up.length);
      if (unheard > 0 && unheard !== lonely) return false;
      return unheard + slow - (slowMs > 0 ? 1 : 0) <= Math.min(observers, others) / 2;
    };
    const clear = new Set(up.filter(isClear).map(({ name }) => name));
    for (const name of this.#clear.keys()) if (!clear.has(name)) this.#clear.delete(name);
    for (const name of clear) if (!this.#clear.has(name)) this.#clear.set(name, nowMs);
  }

  /** Do they hear each other? */
  #isBetween(one: string, other: string): boolean {
    return this.#world.network.isGood(one, other);
  }

  #falseDeath(): string | undefined {
    const { events } = this.#world;
    const fresh = events.slice(this.#heard);
    this.#heard = events.length;
    const isSince = (sinceMs: number | undefined, atMs: number): boolean =>
      sinceMs !== undefined && sinceMs <= atMs - calmMs;
    for (const { kind, host, message, atMs } of fresh) {
      if (kind !== 'cell.down') continue;
      const name = message.replace(/ is down$/, '');
      if (
        [host, name].every((one) => isSince(this.#clear.get(one), atMs) && isSince(this.#sound.get(one)?.sinceMs, atMs))
      )
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
        const watching = members.filter((one) => one.id !== id && (one.state === 'alive' || one.state === 'suspect'));
        const unheard = watching.filter((one) => !this.#isBetween(one.name, other)).length;
        if (unheard > Math.min(observers, watching.length) / 2) continue;
        const sinceMs = before.get(`${name} ${other}`) ?? nowMs;
        this.#held.set(`${name} ${other}`, sinceMs);
        if (nowMs - sinceMs > (this.#world.hosts.size > many ? heldOfManyMs : heldMs))
          return `${other} is there, and down for ${name} since ${Math.round(sinceMs)} ms at least`;
      }
    }
    return undefined;
  }
}
