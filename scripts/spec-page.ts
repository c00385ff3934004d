/** Prints docs/SPEC.md from the key tables, so that the page is never behind the code. Run: node scripts/spec-page.ts > docs/SPEC.md */
import { composeKeys } from '../src/specs/compose-keys.ts';
import type { KeyRow } from '../src/specs/key-rows.ts';
import { kubernetesKeys, refusedKinds } from '../src/specs/kubernetes/keys.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|');
const line = ({ path, types, class: kind, note }: KeyRow): string =>
  `| \`${path}\` | ${kind === 'refused' ? '' : types.join(', ')} | ${kind} | ${cell(note)} |`;

function table(rows: readonly KeyRow[]): string {
  const lines = rows.filter(({ path }) => path !== '').map(line);
  return `| key | types | class | meaning |\n|---|---|---|---|\n${lines.join('\n')}`;
}

export function specPage(): string {
  return `# Spec files

What a file may say, and what becomes of it. *works*: as its specification says. *translated*: as the note says. *refused*: the
file is not deployed, and the error names file, line, column and what to do. No key is silently ignored. \`*\` stands for a name
of yours, \`[]\` for an item of a list. In Compose files, keys that start with \`x-\` are ignored, except \`x-osca\`.

A spec arrives by \`osca deploy FILE\`, or as a file copied into the \`specs/\` folder of a cell's data folder. Several files are merged:
\`osca deploy compose.yaml compose.production.yaml\`, each over those before it; \`!reset\` before a value takes away what those say,
\`!override\` takes its place. \`osca convert FILE\` prints what a file means.

## Examples

A service that is changed with care: two replicas at a time, taken back where one falls within half a minute.

\`\`\`yaml
name: shop
services:
  web:
    image: shop/web:7
    ports: ["8080:80"]
    healthcheck: { test: wget -qO- localhost, interval: 5s, start_period: 20s }
    secrets: [db_password]
    depends_on: { db: { condition: service_healthy } }
    deploy:
      replicas: 4
      update_config: { parallelism: 2, monitor: 30s, failure_action: rollback }
      placement: { max_replicas_per_node: 2 }
    x-osca: { pre_deploy: { command: ./manage.py migrate, deadline: 10m } }
  db:
    image: postgres:17
    volumes: ["data:/var/lib/postgresql/data"]
    environment: { POSTGRES_PASSWORD_FILE: /run/secrets/db_password }
    secrets: [db_password]
    healthcheck: { test: [CMD, pg_isready], interval: 5s }
volumes: { data: {} }
secrets: { db_password: { environment: DB_PASSWORD } }
\`\`\`

Jobs: one that runs each night, one that runs ten times when it is deployed, three at once.

\`\`\`yaml
name: chores
services:
  backup:
    image: restic/restic
    command: backup /data
    x-osca:
      schedule: { cron: "30 3 * * *", timezone: Europe/Berlin, missed: run, overlap: skip }
      job: { retries: 2, deadline: 2h }
  resize:
    image: chores/resize
    deploy: { mode: replicated-job, replicas: 10 }
    x-osca: { job: { parallelism: 3 } }
\`\`\`

A plain process, without an image, on every cell:

\`\`\`yaml
name: watch
services:
  disks:
    command: sh -c 'while df -h /; do sleep 60; done'
    deploy: { mode: global }
    x-osca: { driver: process }
\`\`\`

A stick in one of the machines: the service runs where the device is, and moves with it.

\`\`\`yaml
name: home
services:
  zigbee:
    image: koenkk/zigbee2mqtt
    devices: ["/dev/ttyUSB0"]
    configs: [{ source: settings, target: /app/data/configuration.yaml }]
configs:
  settings: { content: "serial: { port: /dev/ttyUSB0 }" }
\`\`\`

A Kubernetes manifest:

\`\`\`yaml
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: web
          image: nginx
          ports: [{ name: http, containerPort: 80 }]
          readinessProbe: { httpGet: { path: /, port: http } }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { type: LoadBalancer, selector: { app: web }, ports: [{ port: 8080, targetPort: http }] }
\`\`\`

A pod of several containers: one fetches the pages before the server starts, one reads its log beside it. \`osca logs -c shipper site\` shows what that one
wrote, \`osca exec -c shipper site/web -- sh\` looks into it; the first container has the name of the service.

\`\`\`yaml
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      initContainers:
        - name: clone
          image: alpine/git
          args: [clone, --depth=1, "https://git.example/site", /work]
          volumeMounts: [{ name: pages, mountPath: /work }]
      containers:
        - name: nginx
          image: nginx
          ports: [{ name: http, containerPort: 80 }]
          volumeMounts: [{ name: pages, mountPath: /usr/share/nginx/html }, { name: logs, mountPath: /var/log/nginx }]
        - name: shipper
          image: timberio/vector
          volumeMounts: [{ name: logs, mountPath: /logs, readOnly: true }]
      volumes: [{ name: pages, emptyDir: {} }, { name: logs, emptyDir: {} }]
\`\`\`

## Compose

${table(composeKeys)}

## Kubernetes

Each workload becomes a service of one app, which is called like the file (\`--name\` says otherwise). Manifests are read as they are: there is no
templating. Of a folder (\`osca deploy k8s/\`) all manifests are one app. A ReplicaSet is read as a Deployment. These kinds are refused: ${Object.entries(
    refusedKinds,
  )
    .map(([kind, why]) => `${kind} (${why})`)
    .join('; ')}.

${table(kubernetesKeys)}
`;
}

if (process.argv[1]?.endsWith('spec-page.ts')) process.stdout.write(specPage());
