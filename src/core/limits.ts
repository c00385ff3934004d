/** A limit on everything that can grow, each with its why. Sizes in bytes, times in ms. */
export const limits = {
  /** One frame on the wire: a record of 500 replicas is 100 KB; ten times that is an attack or a bug. */
  frameBytes: 1_048_576,
  /** A document snapshot in a welcome or a sync answer: 10 revisions of a few hundred apps are below 8 MB. */
  documentBytes: 16_777_216,
  /** Frames that wait for one slow peer. Beyond it the oldest is dropped: digests repair what is lost. */
  sendQueueFrames: 512,
  /** Strangers that may wait for approval: a screenful. More are refused until one is approved or gone. */
  pendingJoins: 32,
  /** Join frames a stranger may send per second; more are dropped and counted. */
  joinFramesPerSecond: 5,
  /** Gossip of cells whose admission may be on its way: a storm of a few hundred newcomers, two frames each. */
  earlyFrames: 1_024,
  earlyBytes: 16_384,
  earlyMs: 10_000,
  /** Updates that wait for earlier ones of their writers, and their bytes. The oldest is dropped: digests repair what is lost. */
  heldUpdates: 1_024,
  heldBytes: 4_194_304,
  /** Members of one appliance: the next power of two above the size we prove. */
  members: 2_048,
  /** How often one life of a cell is expected to raise its incarnation, by refuting; each start begins above that. */
  refutations: 1_000,
  /** Entries in the trust log: every admission and revocation ever made. */
  trustEntries: 10_000,
  /** Revisions kept per app. */
  revisions: 10,
  /** Runs kept per job that have ended, and how many of them keep their containers, for their logs. */
  runs: 10,
  runLogs: 3,
  /** Runs of one app that have not ended: each is placed, and asks for a lease. */
  openRuns: 100,
  /** Apps per appliance, services per app, replicas per service: far above a small cloud, far below a full heap. */
  apps: 2_000,
  services: 200,
  replicas: 1_000,
  /** A cell that starts anew is not missed for so long, whatever it says: a slow board, and a version that has to be taken back. */
  returnMs: 90_000,
  /** Connections of a cell in a large appliance: those it watches and is watched by, some for gossip, some that others chose. */
  connections: 40,
  /** In a small one everybody is connected with everybody. */
  connectAll: 24,
  /** Duties that one master does at a time: more services than change at once in the largest appliance. */
  orders: 1_000,
  /** Replicas of one app that change at once, whatever its file says: they are listed in a record. */
  rolloutAtOnce: 100,
  /** Cells that decide on leases: a thousand can't ask five hundred every two seconds. */
  voters: 15,
  /** Strict replicas in one question for leases: far above what one cell runs. */
  leases: 2_000,
  /** A hook after a start: what waits longer than that for something waits for ever, and keeps the replica from being stopped. */
  hookMs: 60_000,
  /** One config or secret, and all of one app: a change of the document travels in one frame. */
  fileBytes: 262_144,
  filesBytes: 524_288,
  /** One spec file, and the values that YAML aliases may add to it. */
  specBytes: 1_048_576,
  specAliased: 100_000,
  /** How deep it nests, aliases expanded: the parser itself stops at 100. */
  specDepth: 300,
  /** So long a cell may have to be well with a version: its turn is over after twice that. */
  wellMs: 300_000,
  /** A package of a release: four times what one is. */
  packageBytes: 134_217_728,
  /** Events kept for `osca events`. */
  events: 1_000,
  /** A name (app, service, cell): a DNS label. */
  nameLength: 63,
  /** A unit that ends this soon after its start never ran: a command with a wrong option is gone within a few ms. */
  firstMomentMs: 20,
  /** Lines of one replica that are held while logs are merged. */
  logLines: 10_000,
  /** One log line handed on; the rest is cut. */
  logLineBytes: 65_536,
} as const;
