/** Lives with a name: what a trouble that people know is made of. */
import type { Fault } from './deeds.ts';
import type { LifeOptions } from './life.ts';

type Scenario = Omit<LifeOptions, 'seed'> & { what: string; faults: readonly Fault[] };

export const scenarios: Readonly<Record<string, Scenario>> = {
  'power-cut': {
    what: 'the whole appliance loses its power and comes back, again and again',
    ...{ cells: 30, deeds: 30, faults: ['blackout', 'power', 'wipe', 'disk'] },
  },
  'join-storm': {
    what: 'three hundred newcomers at once, on a busy Wi-Fi',
    ...{ cells: 30, deeds: 10, faults: ['flood', 'wifi'] },
  },
  'rolling-restart': {
    what: 'every daemon starts anew, while changes go on',
    ...{ cells: 30, deeds: 30, faults: ['rolling', 'heavy', 'bad'] },
  },
  'split-brain': {
    what: 'islands, bridges between them, and cuts in one direction, with strict services on both sides',
    ...{ cells: 12, deeds: 40, faults: ['partition', 'bridge', 'gulf', 'oneway', 'crash'] },
  },
  'bad-wifi': {
    what: 'losses, jitter, bursts, bad lines, and machines that pause',
    ...{ cells: 30, deeds: 30, faults: ['wifi', 'burst', 'lag', 'lines', 'hush', 'pause'] },
  },
  liars: {
    what: 'clocks that jump and drift, machines that say what they have not, disks that lose what they promised',
    ...{ cells: 12, deeds: 40, faults: ['clock', 'lies', 'tight', 'disk', 'slow'] },
  },
  'failing-apps': {
    what: 'images that are missing, containers that fall or fail their checks, rollouts that go wrong',
    ...{ cells: 8, deeds: 40, faults: ['broken', 'flaky', 'bad', 'work', 'shared', 'sick', 'heavy'] },
  },
  door: {
    what: 'strangers, members that are removed, cards that are replaced, and newcomers',
    ...{ cells: 8, deeds: 40, faults: ['strangers', 'leavers', 'wipe', 'join', 'storm'] },
  },
  thousand: {
    what: 'a thousand cells, with whatever the seed draws',
    ...{ cells: 1_000, deeds: 8, faults: ['crash', 'power', 'rolling', 'pause', 'partition', 'burst', 'join'] },
  },
};
