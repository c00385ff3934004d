/**
 * Spec files alone: 2,000 services in twenty files, read and placed, beside a floor: the same files through the YAML parser and no
 * further.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import type { PlacementService } from '../src/placement/filter.ts';
import { Placement } from '../src/placement/place.ts';
import { readSpec } from '../src/specs/read.ts';
import { series } from './measure.ts';
import { benchCells } from './placement.ts';

const files = 20;
const perFile = 100;

function text(file: number): string {
  const services = Array.from(
    { length: perFile },
    (_, i) => `  web-${i}:
    image: registry.example/web-${file}-${i}:1.2.3
    ports: ["${8_000 + i}"]
    environment: { LEVEL: info, NUMBER: "${i}", GREETING: "\${GREETING:-hello}" }
    volumes: ["/etc/localtime:/etc/localtime:ro"]
    healthcheck: { test: wget -qO- localhost, interval: 5s, retries: 3 }
    labels: { tier: front, number: "${i}" }
    deploy:
      replicas: 2
      update_config: { parallelism: 2, delay: 1s }
      resources: { limits: { cpus: "0.5", memory: 64M }, reservations: { cpus: "0.01", memory: 4M } }
`,
  );
  return `name: app-${file}\nservices:\n${services.join('')}`;
}

export function benchSpecs(tell: (text: string) => void): object {
  const folder = mkdtempSync(join(tmpdir(), 'osca-specs-'));
  const all = Array.from({ length: files }, (_, i) => ({ path: join(folder, `app-${i}.yaml`), text: text(i) }));
  for (const { path, text: content } of all) writeFileSync(path, content);
  const timed = (run: () => void): number => {
    const start = performance.now();
    run();
    return Math.round(performance.now() - start);
  };
  const [parse, read, place]: number[][] = [[], [], []];
  for (let round = 0; round < 5; round++) {
    parse!.push(timed(() => all.forEach((file) => void loadAll(file.text))));
    let services: PlacementService[] = [];
    read!.push(
      timed(() => {
        services = all.flatMap(({ path }) => {
          const { app } = readSpec({ file: path, env: {}, profiles: [] });
          return app.services.map((spec): PlacementService => ({ app: app.name, spec, hash: 'h' }));
        });
      }),
    );
    const placement = new Placement();
    const cells = benchCells(20);
    place!.push(timed(() => void placement.place({ cells, services })));
    tell(`  yaml ${parse!.at(-1)}, read ${read!.at(-1)}, placed ${place!.at(-1)} ms`);
  }
  rmSync(folder, { recursive: true, force: true });
  const [floor, ours, placed] = [parse!, read!, place!].map(series) as [
    ReturnType<typeof series>,
    ReturnType<typeof series>,
    ReturnType<typeof series>,
  ];
  const total = ours.median + placed.median;
  return {
    what: `${files * perFile} services in ${files} files: read and checked, placed on 20 cells, ms; the YAML parser alone as the floor`,
    ...{ read: ours, place: placed, floor: { yaml: floor } },
    ratio: { readToYaml: Math.round((ours.median / floor.median) * 100) / 100 },
    target: { totalMs: 1_000 },
    met: total <= 1_000,
  };
}
