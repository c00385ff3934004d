/** Bugs that the fixed seeds must find, each one safety net cut: what it is, where, and how it is planted. */
export interface Mutation {
  name: string;
  file: string;
  find: string;
  put: string;
}

export const mutations: readonly Mutation[] = [
  {
    name: 'a cell throws at what it did not expect',
    file: 'src/gossip/membership.ts',
    find: '  #onDispute(inc: number, now: number): void {',
    put: "  #onDispute(inc: number, now: number): void {\n    if (inc >= 0) throw new Error('unexpected');",
  },
  {
    name: 'who is held dead does not refute',
    file: 'src/gossip/membership.ts',
    find: '  #refute(inc: number): void {',
    put: '  #refute(inc: number): void {\n    if (inc >= 0) return;',
  },
  {
    name: 'one observer makes a death',
    file: 'src/gossip/membership.ts',
    find: 'const majorityOf = (count: number): number => Math.floor(count / 2) + 1;',
    put: 'const majorityOf = (count: number): number => Math.min(1, count);',
  },
  {
    name: 'who is stopped for a second is dead',
    file: 'src/gossip/detector.ts',
    find: 'const busy = watch.there && now - watch.silentMs < this.#options.busyMs;',
    put: 'const busy = false;',
  },
  {
    name: 'one vote is a majority',
    file: 'src/placement/leases.ts',
    find: 'Math.floor(count / 2) + 1;',
    put: 'Math.min(1, count);',
  },
  {
    name: 'records and documents are never compared',
    file: 'src/gossip/antientropy.ts',
    find: '  onFrame(from: CellId, frame: Frame, now: number): void {',
    put: '  onFrame(from: CellId, frame: Frame, now: number): void {\n    if (now >= 0) return;',
  },
  {
    name: 'what moves is broken before it is made',
    file: 'src/runtime/reconcile.ts',
    find: '  if (ready) steps.stop.push(',
    put: '  if (ready || told.length > 0) steps.stop.push(',
  },
  {
    name: 'what is well gives way to what is not',
    file: 'src/runtime/reconcile.ts',
    find: '(state === unit.state && hash !== assignment.hash)',
    put: "(state === 'running' && hash !== assignment.hash)",
  },
  {
    name: 'who was never heard is never asked',
    file: 'src/gossip/membership.ts',
    find: 'if (member === undefined ? this.#deps.isAdmitted(from) :',
    put: 'if (member === undefined ? false :',
  },
  {
    name: 'questions for leases are never forgotten',
    file: 'src/placement/leases.ts',
    find: 'this.#rounds.delete(q - roundsKept);',
    put: '',
  },
  {
    name: 'a promise is given twice',
    file: 'src/placement/leases.ts',
    find: 'promise.to !== to && promise.untilMs > now) return false;',
    put: 'promise.to !== to && promise.untilMs < 0) return false;',
  },
  {
    name: 'a cell promises again as soon as it has started',
    file: 'src/placement/leases.ts',
    find: 'this.#silentUntilMs = this.#isFirstLife ? now : now + this.#options.leaseMs;',
    put: 'this.#silentUntilMs = now;',
  },
  {
    name: 'a lease lasts longer than its promise',
    file: 'src/placement/leases.ts',
    find: 'const untilMs = round.sentMs + (leaseMs * (100 - driftPercent)) / 100;',
    put: 'const untilMs = round.sentMs + leaseMs * 3;',
  },
  {
    name: 'a replica that is new elsewhere counts as changed at home',
    file: 'src/runtime/rollouts.ts',
    find: 'const isOld = units.some((unit) => unit.cell === cell && unit.hash !== hash && isUp(unit));',
    put: 'const isOld = false;',
  },
  {
    name: 'the epoch of an order is not checked',
    file: 'src/placement/duties.ts',
    find: 'if (other === undefined || isNewer({ ...order, by }, other)) orders',
    put: 'if (other === undefined) orders',
  },
  {
    name: 'any number of newcomers decide at once',
    file: 'src/node/quorum.ts',
    find: 'const room = this.#room(hasPromised());',
    put: 'const room = Math.max(this.#room(hasPromised()), limits.voters);',
  },
];
