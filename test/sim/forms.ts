/** What people deploy in a random life: an app of a few services, each mood of it with dice of its own. */
import type { Random } from '../../src/core/random.ts';
import type { Probe, ServiceSpec } from '../../src/core/spec.ts';
import { simService } from './makers.ts';

/** Each where set. */
export interface Moods {
  /** Some revisions fall as soon as they run, and files say how a change goes. */
  bad?: Random;
  /** Apps have jobs, and hooks before a change. */
  work?: Random;
  /** Some services of an app share a volume. */
  shared?: Random;
  /** Replicas are asked how they are. */
  sick?: Random;
  /** They reserve memory. */
  tight?: Random;
}

export const moodNames = ['bad', 'work', 'shared', 'sick', 'tight'] as const;

export function drawnApp(random: Random, { bad, work, shared, sick, tight }: Moods) {
  const port = random.chance(15) ? { ports: [{ target: 80, published: 8_080, protocol: 'tcp' as const }] } : {};
  const services = [simService('web', random.between(0, 6), { image: `image-${random.below(3)}`, ...port })];
  if (random.chance(50)) services.push(simService('db', 1, { strict: true, image: 'busybox' }));
  const app = `app-${random.below(3)}`;
  if (bad !== undefined) services[0] = { ...services[0]!, ...moody(bad) };
  if (bad?.chance(30) === true && services.length > 1)
    services[0] = { ...services[0]!, dependsOn: [{ service: 'db', condition: 'healthy' }] };
  if (work !== undefined) busy(services, work);
  if (shared?.chance(60) === true) share(services, shared);
  if (sick?.chance(70) === true) services[0] = { ...services[0]!, ...asked(sick) };
  if (tight?.chance(60) === true)
    services[0] = { ...services[0]!, resources: { reserveMemoryBytes: tight.pick([64, 512, 3_072])! * mebibyte } };
  return { app, services };
}

const mebibyte = 2 ** 20;

/** A job beside it, and perhaps a hook; what falls, falls here too. */
function busy(services: ServiceSpec[], random: Random): void {
  const [web] = services;
  if (random.chance(40)) services[0] = { ...web!, preDeploy: { command: ['migrate', String(random.below(3))] } };
  if (!random.chance(60)) return;
  const job = { parallelism: random.between(1, 3), retries: random.below(3) };
  const environment = { FORM: String(random.below(4)) };
  const mode = random.chance(20) ? 'global' : 'replicated';
  const image = random.chance(20) ? 'falls-job' : 'busybox';
  services.push(simService('job', random.between(0, 5), { job, environment, mode, image }));
}

/** Some of them have a volume in common. */
function share(services: ServiceSpec[], random: Random): void {
  services.push(simService('index', random.between(1, 2), { image: 'busybox' }));
  services.forEach((service, i) => {
    if (random.chance(70)) services[i] = { ...service, mounts: [{ kind: 'volume', source: 'data', target: '/data' }] };
  });
}

function moody(random: Random): Partial<ServiceSpec> {
  const update = {
    parallelism: random.below(4),
    delayMs: random.chance(30) ? random.below(3_000) : 0,
    onFailure: random.pick(['rollback', 'pause', 'continue'] as const)!,
    order: random.pick(['start-first', 'start-first', 'stop-first'] as const)!,
    monitorMs: random.pick([0, 1_000, 5_000])!,
    maxFailureRatio: random.pick([0, 0, 0.5])!,
  };
  return { update, ...(random.chance(35) ? { image: `falls-${random.below(3)}` } : {}) };
}

/** How it is asked how it is; some never are well. */
function asked(random: Random): Partial<ServiceSpec> {
  const command = [random.chance(15) ? 'false' : 'true'];
  const intervalMs = random.pick([1_000, 3_000])!;
  const [timeoutMs, failures] = [1_000, random.between(1, 3)];
  if (random.chance(50)) {
    const startPeriodMs = random.pick([0, 5_000])!;
    const test = ['CMD', ...command];
    return { healthcheck: { test, intervalMs, timeoutMs, retries: failures, startPeriodMs, startIntervalMs: 500 } };
  }
  const ready: Probe = {
    check: { kind: 'exec', command },
    initialDelayMs: random.pick([0, 2_000])!,
    ...{ intervalMs, timeoutMs, failures, successes: 1 },
  };
  const live = { ...ready, failures: failures + 1 };
  return { probes: { ready, ...(random.chance(60) ? { live } : {}), ...(random.chance(30) ? { startup: live } : {}) } };
}
