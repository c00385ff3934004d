/**
 * Every key of the Compose Specification, in one table: what it may be, what becomes of it here, and in words. The reader
 * checks files against it, docs/SPEC.md is printed from it, and the tests walk it.
 *
 * works: does what the specification says. translated: does what `note` says. refused: the file is not deployed,
 * and `note` says what to do instead. `*` stands for a name that people choose, `[]` for the items of a list.
 */
export type KeyClass = 'works' | 'translated' | 'refused';

/** Types separated by | in any order. object and list look into their children. */
export type KeyType = 'text' | 'int' | 'number' | 'flag' | 'duration' | 'bytes' | 'object' | 'list' | 'null' | 'any';

export interface KeyRow {
  path: string;
  types: KeyType[];
  class: KeyClass;
  note: string;
}

const row = (path: string, types: string, note: string, kind: KeyClass = 'works'): KeyRow => ({
  path,
  types: types.split('|') as KeyType[],
  class: kind,
  note,
});

const refuse = (path: string, note: string): KeyRow => row(path, 'any', note, 'refused');
const refuseAll = (prefix: string, note: string, keys: string): KeyRow[] =>
  keys.split(' ').map((key) => refuse(`${prefix}${key}`, note));

const S = 'services.*.';
const later = 'it comes with a later release; remove the key';

function policyRows(key: string, note: string): KeyRow[] {
  return [
    row(`${S}deploy.${key}`, 'object', note),
    row(`${S}deploy.${key}.parallelism`, 'int', 'replicas that change at once; 1; 0 for all, at most 100'),
    row(`${S}deploy.${key}.delay`, 'duration', 'from one that came to the next that goes; 0s'),
    row(`${S}deploy.${key}.monitor`, 'duration', 'a replica that falls this soon after it came has failed; 5s'),
    row(`${S}deploy.${key}.max_failure_ratio`, 'number', 'of the replicas, how many may fail; 0'),
  ];
}

function labelRows(prefix: string, note: string, kind?: KeyClass): KeyRow[] {
  return [
    row(`${prefix}labels`, 'object|list', note, kind),
    row(`${prefix}labels.*`, 'text|number|flag|null', 'a label'),
    row(`${prefix}labels[]`, 'text', 'NAME=value'),
  ];
}

/** Of the top level. */
function fileRows(kind: string, note: string): KeyRow[] {
  return [
    row(kind, 'object|null', `${note}; 256 KiB each at most, 512 KiB for an app`),
    row(`${kind}.*`, 'object', 'its name'),
    row(`${kind}.*.file`, 'text', 'a file with its content, relative to the spec; read when it is deployed'),
    row(`${kind}.*.content`, 'text|number|flag', 'its content'),
    row(`${kind}.*.environment`, 'text', 'a variable with its content, of the shell or .env'),
    row(`${kind}.*.name`, 'text', 'ignored: services know it by its name in the file', 'translated'),
    row(`${kind}.*.external`, 'flag', 'false: it is in the file'),
    ...labelRows(`${kind}.*.`, 'for people; ignored', 'translated'),
    ...refuseAll(
      `${kind}.*.`,
      'only what the file holds is known; use file, content or environment',
      'driver driver_opts template_driver',
    ),
  ];
}

/** Of a service. */
function mountRows(kind: string, note: string, target: string): KeyRow[] {
  return [
    row(`${S}${kind}`, 'list', note),
    row(`${S}${kind}[]`, 'text|object', 'its name at the top level'),
    row(`${S}${kind}[].source`, 'text', 'its name at the top level'),
    row(`${S}${kind}[].target`, 'text', `a path, or a name; ${target}`),
    row(`${S}${kind}[].uid`, 'text|int', 'its owner; 0. Where the daemon is not root, its user'),
    row(`${S}${kind}[].gid`, 'text|int', 'its group; 0'),
    row(`${S}${kind}[].mode`, 'text|int', 'octal; 0444'),
  ];
}

function hookRows(key: string, note: string): KeyRow[] {
  return [
    row(`${S}${key}`, 'list', note),
    row(`${S}${key}[]`, 'object', 'one'),
    row(`${S}${key}[].command`, 'text|list', 'what runs'),
    row(`${S}${key}[].command[]`, 'text|number', 'an argument'),
    row(`${S}${key}[].user`, 'text|int', 'as whom; the container’s'),
    row(`${S}${key}[].working_dir`, 'text', 'where; the container’s'),
    row(`${S}${key}[].privileged`, 'flag', 'with everything that the host may do'),
    row(`${S}${key}[].environment`, 'object|list', 'beside the container’s'),
    row(`${S}${key}[].environment.*`, 'text|number|flag|null', 'a variable'),
    row(`${S}${key}[].environment[]`, 'text', 'NAME=value'),
  ];
}

/** A text, or a list of them. */
function textsRows(keys: string, types: string, note: string): KeyRow[] {
  return keys.split(' ').flatMap((key) => [row(`${S}${key}`, types, note), row(`${S}${key}[]`, 'text|number', 'one')]);
}

export const composeKeys: readonly KeyRow[] = [
  row('', 'object', 'the file'),
  row('name', 'text', 'name of the app; without it, the name of the folder'),
  row('version', 'text|number', 'obsolete in the specification; ignored', 'translated'),
  row('services', 'object', 'what runs'),
  row('services.*', 'object', 'one service: a-z, 0-9, - and _'),
  row('volumes', 'object|null', 'named volumes, one of each name on every cell that runs a replica'),
  row('volumes.*', 'object|null', 'a named volume'),
  row('volumes.*.name', 'text', 'its full name; without it APP_NAME'),
  row('volumes.*.external', 'flag', 'exists already; its name is not prefixed'),
  ...labelRows('volumes.*.', 'kept in the file only; engines get the name', 'translated'),
  refuse('volumes.*.driver', 'only the engine’s local driver is supported; remove the key'),
  refuse('volumes.*.driver_opts', 'only the engine’s local driver is supported; use a bind mount instead'),
  row('networks', 'object|null', 'one network for all services: it changes nothing for now', 'translated'),
  row('networks.*', 'object|null', 'its name'),
  row('networks.*.driver', 'text', 'bridge'),
  row('networks.*.name', 'text', 'its full name; ignored', 'translated'),
  ...labelRows('networks.*.', 'for people; ignored', 'translated'),
  ...refuseAll(
    'networks.*.',
    'containers use the engine’s default network for now; remove the key',
    'driver_opts attachable enable_ipv4 enable_ipv6 external internal ipam',
  ),
  ...fileRows('configs', 'small files for services, kept in the document'),
  ...fileRows(
    'secrets',
    'the same, sealed: only cells of the appliance can open them, and only where a replica needs them',
  ),
  row('include', 'list', 'other files whose services, volumes, configs and secrets belong to the app too'),
  row('include[]', 'text|object', 'a file, relative to this one'),
  row('include[].path', 'text|list', 'a file, or several that are merged'),
  row('include[].path[]', 'text', 'a file'),
  row('include[].project_directory', 'text', 'to which its paths are relative; its own folder'),
  row('include[].env_file', 'text|list', 'its variables; .env beside it. Those of the file that includes it go before'),
  row('include[].env_file[]', 'text', 'a file'),
  refuse('models', 'models are not supported; run the model as a service'),

  // what it is
  row(`${S}image`, 'text', 'image of the container'),
  row(`${S}build`, 'text|object', 'built on the cell that takes the deploy, loaded where it is needed'),
  row(`${S}build.context`, 'text', 'folder with the Dockerfile'),
  row(`${S}build.dockerfile`, 'text', 'path in the context'),
  row(`${S}build.args`, 'object|list', 'build arguments'),
  row(`${S}build.args.*`, 'text|number|flag|null', 'a build argument'),
  row(`${S}build.args[]`, 'text', 'a build argument'),
  row(`${S}build.target`, 'text', 'stage to build'),
  ...refuseAll(
    `${S}build.`,
    'the classic builder knows context, dockerfile, args and target; build the image yourself and name it in image',
    'additional_contexts dockerfile_inline entitlements isolation platforms privileged secrets ssh ulimits',
  ),
  ...labelRows(`${S}build.`, 'labels of the image'),
  row(`${S}build.network`, 'text', 'network of the steps'),
  row(`${S}build.extra_hosts`, 'list|object', 'NAME:IP or NAME=IP'),
  row(`${S}build.extra_hosts[]`, 'text', 'a host'),
  row(`${S}build.extra_hosts.*`, 'text|list', 'its address'),
  row(`${S}build.extra_hosts.*[]`, 'text', 'an address'),
  row(`${S}build.shm_size`, 'bytes|int', 'of /dev/shm in the steps'),
  row(`${S}build.no_cache`, 'flag', 'each step anew'),
  row(`${S}build.pull`, 'flag', 'pull the base images, even if they are there'),
  ...'cache_from cache_to tags'
    .split(' ')
    .map((key) =>
      row(`${S}build.${key}`, 'list', 'ignored: the cache is the engine’s own, the tag ours', 'translated'),
    ),
  ...'cache_from cache_to tags'.split(' ').map((key) => row(`${S}build.${key}[]`, 'text', 'one', 'translated')),
  row(`${S}build.provenance`, 'any', 'ignored: for people who publish images', 'translated'),
  row(`${S}build.sbom`, 'any', 'ignored: for people who publish images', 'translated'),
  row(`${S}command`, 'text|list|null', 'arguments; text is split as a shell would'),
  row(`${S}command[]`, 'text|number|flag', 'an argument'),
  row(`${S}entrypoint`, 'text|list|null', 'program; text is split as a shell would'),
  row(`${S}entrypoint[]`, 'text|number|flag', 'an argument'),
  row(`${S}environment`, 'object|list|null', 'environment; a name without a value takes it from the shell or .env'),
  row(`${S}environment.*`, 'text|number|flag|null', 'a variable'),
  row(`${S}environment[]`, 'text', 'NAME=value'),
  row(`${S}env_file`, 'text|list', 'files of NAME=value, relative to the spec'),
  row(`${S}env_file[]`, 'text|object', 'a file'),
  row(`${S}env_file[].path`, 'text', 'its path'),
  row(`${S}env_file[].required`, 'flag', 'false: fine where it is missing'),
  refuse(`${S}env_file[].format`, 'only the usual NAME=value format is read; remove the key'),
  row(`${S}working_dir`, 'text', 'folder in which the command starts'),
  row(`${S}user`, 'text|int', 'user, or user:group'),
  ...labelRows(S, 'labels of the container'),
  row(`${S}profiles`, 'list', 'runs only with --profile or COMPOSE_PROFILES'),
  row(`${S}profiles[]`, 'text', 'a profile'),
  row(`${S}extends`, 'text|object', 'takes over a service of this or another file'),
  row(`${S}extends.service`, 'text', 'its name'),
  row(`${S}extends.file`, 'text', 'its file, relative to this one'),
  row(`${S}x-osca`, 'object', 'what Compose lacks'),
  row(
    `${S}x-osca.driver`,
    'text',
    'docker (default), or process: the command runs as a plain process, without an image',
  ),
  row(
    `${S}x-osca.singleton`,
    'text',
    'strict: never on two cells at once, so it runs only where more than half of the cells see each other (default for one replica with a named volume, and for jobs); loose: it may be for moments while a network is cut',
  ),
  row(
    `${S}x-osca.job`,
    'object',
    'runs to its end, deploy.replicas times in all; a deploy that does not change it does not run it again',
  ),
  row(`${S}x-osca.job.parallelism`, 'int', 'at once; 1'),
  row(`${S}x-osca.job.retries`, 'int', 'one that fails is tried again so often, with longer and longer pauses; 3'),
  row(`${S}x-osca.job.deadline`, 'duration', 'it is ended, and has failed, where it takes longer, all tries together'),
  row(
    `${S}x-osca.schedule`,
    'text|object',
    "a job that runs at its times: minute hour day month weekday, e.g. '0 3 * * *'; @daily, L, W and # work too. Each time runs once while most of the cells see each other, and never on two cells at once",
  ),
  row(`${S}x-osca.schedule.cron`, 'text', 'its times'),
  row(`${S}x-osca.schedule.timezone`, 'text', 'such as Europe/Berlin; UTC'),
  row(
    `${S}x-osca.schedule.missed`,
    'text',
    'a time at which nobody could see to it: run (default) runs the last of them late, skip none',
  ),
  row(
    `${S}x-osca.schedule.overlap`,
    'text',
    'a time at which the run before it has not ended: skip (default), or allow',
  ),
  row(
    `${S}x-osca.pre_deploy`,
    'object',
    'runs once, in a container of its own with the image, environment and volumes of the service, before a change of the service begins; where it fails, nothing changes',
  ),
  row(`${S}x-osca.pre_deploy.command`, 'text|list', 'in place of command'),
  row(`${S}x-osca.pre_deploy.command[]`, 'text|number', 'an argument'),
  row(`${S}x-osca.pre_deploy.deadline`, 'duration', 'it has failed where it takes longer'),

  // how it is reached, what it keeps
  row(`${S}ports`, 'list', 'published on the cell that runs the replica'),
  row(`${S}ports[]`, 'text|number|object', '[[IP:]PUBLISHED:]TARGET[/PROTOCOL], ranges too'),
  row(`${S}ports[].target`, 'int', 'port in the container'),
  row(`${S}ports[].published`, 'int|text', 'port on the cell'),
  row(`${S}ports[].host_ip`, 'text', 'address on the cell'),
  row(`${S}ports[].protocol`, 'text', 'tcp or udp'),
  row(
    `${S}ports[].mode`,
    'text',
    'host and ingress both publish on the cell that runs the replica, for now',
    'translated',
  ),
  row(`${S}ports[].name`, 'text', 'a name for people; ignored', 'translated'),
  row(`${S}ports[].app_protocol`, 'text', 'for people; ignored', 'translated'),
  row(`${S}volumes`, 'list', 'mounts'),
  row(`${S}volumes[]`, 'text|object', 'SOURCE:TARGET[:ro]'),
  row(`${S}volumes[].type`, 'text', 'volume, bind or tmpfs'),
  row(`${S}volumes[].source`, 'text', 'volume name, or path on the cell'),
  row(`${S}volumes[].target`, 'text', 'path in the container'),
  row(`${S}volumes[].read_only`, 'flag', 'read only'),
  row(`${S}volumes[].tmpfs`, 'object', 'of a tmpfs'),
  row(`${S}volumes[].tmpfs.size`, 'bytes|int', 'its size'),
  refuse(`${S}volumes[].tmpfs.mode`, 'a tmpfs is 1777; remove the key'),
  row(`${S}volumes[].bind`, 'object', 'of a bind'),
  row(`${S}volumes[].bind.create_host_path`, 'flag', 'make the folder where it is missing'),
  refuse(`${S}volumes[].bind.propagation`, later),
  refuse(`${S}volumes[].bind.selinux`, later),
  refuse(`${S}volumes[].bind.recursive`, later),
  ...refuseAll(`${S}volumes[].`, later, 'consistency volume image'),
  row(`${S}tmpfs`, 'text|list', 'paths in memory'),
  row(`${S}tmpfs[]`, 'text', 'PATH[:size=64m]'),

  // how it lives
  row(
    `${S}restart`,
    'text|flag',
    'no, always, on-failure[:N], unless-stopped; without it always, not no: an appliance keeps what it is told',
    'translated',
  ),
  row(`${S}healthcheck`, 'object', 'felt by the daemon, the same for every engine'),
  row(`${S}healthcheck.test`, 'text|list', 'text for a shell, or [CMD, …], [CMD-SHELL, line], [NONE]'),
  row(`${S}healthcheck.test[]`, 'text|number', 'an argument'),
  row(`${S}healthcheck.interval`, 'duration', 'from check to check; 30s'),
  row(`${S}healthcheck.timeout`, 'duration', 'of one check; 30s'),
  row(`${S}healthcheck.retries`, 'int', 'failures in a row until it is unhealthy and replaced; 3'),
  row(`${S}healthcheck.start_period`, 'duration', 'failures that do not count yet; 0s'),
  row(
    `${S}healthcheck.start_interval`,
    'duration',
    'from check to check until the first success; 5s, at most interval',
  ),
  row(`${S}healthcheck.disable`, 'flag', 'no check'),
  row(`${S}init`, 'flag', 'an init process in the container'),
  row(`${S}cap_add`, 'list', 'capabilities'),
  row(`${S}cap_add[]`, 'text', 'a capability'),
  row(`${S}cap_drop`, 'list', 'capabilities'),
  row(`${S}cap_drop[]`, 'text', 'a capability'),
  row(`${S}read_only`, 'flag', 'root file system is read only'),
  row(`${S}ulimits`, 'object', 'limits'),
  row(`${S}ulimits.*`, 'int|object', 'one limit, or soft and hard'),
  row(`${S}ulimits.*.soft`, 'int', 'soft limit'),
  row(`${S}ulimits.*.hard`, 'int', 'hard limit'),
  row(`${S}stop_signal`, 'text', 'SIGTERM where it is not given'),
  row(`${S}stop_grace_period`, 'duration', 'then SIGKILL; 10s'),

  // how many, where
  row(`${S}deploy`, 'object', 'how many, where, how much'),
  row(
    `${S}deploy.mode`,
    'text',
    'replicated, or global: one on each cell; replicated-job and global-job run to their end',
  ),
  row(`${S}deploy.replicas`, 'int', 'how many; 1'),
  ...labelRows(`${S}deploy.`, 'labels of the service; put on its containers', 'translated'),
  row(`${S}deploy.resources`, 'object', 'limits and reservations'),
  row(`${S}deploy.resources.limits`, 'object', 'what it may use'),
  row(`${S}deploy.resources.limits.cpus`, 'number|text', 'cores'),
  row(`${S}deploy.resources.limits.memory`, 'bytes|int', 'memory'),
  row(`${S}deploy.resources.limits.pids`, 'int', 'processes'),
  row(`${S}deploy.resources.reservations`, 'object', 'what must be free on the cell'),
  row(`${S}deploy.resources.reservations.cpus`, 'number|text', 'cores'),
  row(`${S}deploy.resources.reservations.memory`, 'bytes|int', 'memory'),
  row(`${S}deploy.resources.reservations.devices`, 'list', 'GPUs that must be on the cell'),
  row(`${S}deploy.resources.reservations.devices[]`, 'object', 'some of them'),
  row(`${S}deploy.resources.reservations.devices[].capabilities`, 'list', '[gpu]'),
  row(`${S}deploy.resources.reservations.devices[].capabilities[]`, 'text', 'gpu, and what the driver knows'),
  row(`${S}deploy.resources.reservations.devices[].driver`, 'text', 'nvidia', 'translated'),
  row(`${S}deploy.resources.reservations.devices[].count`, 'int|text', 'how many; all'),
  row(`${S}deploy.resources.reservations.devices[].device_ids`, 'list', 'as many as it names', 'translated'),
  row(`${S}deploy.resources.reservations.devices[].device_ids[]`, 'text|int', 'one', 'translated'),
  refuse(`${S}deploy.resources.reservations.devices[].options`, later),
  refuse(`${S}deploy.resources.reservations.generic_resources`, later),
  row(`${S}deploy.placement`, 'object', 'where'),
  row(`${S}deploy.placement.constraints`, 'list', 'all must hold'),
  row(
    `${S}deploy.placement.constraints[]`,
    'text',
    'node.labels.X == Y, node.hostname, node.id, node.platform.os, node.platform.arch; also !=',
  ),
  row(
    `${S}deploy.placement.preferences`,
    'list',
    'replicas spread over cells, and over zones: osca cell label CELL zone=NAME',
    'translated',
  ),
  row(
    `${S}deploy.placement.preferences[]`,
    'object',
    'ignored but for node.labels.zone, over which they spread anyway',
    'translated',
  ),
  row(`${S}deploy.placement.preferences[].spread`, 'text', 'node.labels.zone', 'translated'),
  row(`${S}deploy.placement.max_replicas_per_node`, 'int', 'of the service on one cell; 0 for any'),
  row(`${S}deploy.restart_policy`, 'object', 'goes before restart'),
  row(`${S}deploy.restart_policy.condition`, 'text', 'none, on-failure or any'),
  row(`${S}deploy.restart_policy.delay`, 'duration', 'before a restart; without it, longer and longer'),
  row(`${S}deploy.restart_policy.max_attempts`, 'int', 'then it stays down'),
  row(`${S}deploy.restart_policy.window`, 'duration', 'a run this long is forgotten by max_attempts; 10s'),
  ...policyRows('update_config', 'how a change goes through the service'),
  row(
    `${S}deploy.update_config.order`,
    'text',
    'start-first (default) or stop-first; always stop-first with a host port, a named volume or a strict service',
    'translated',
  ),
  row(
    `${S}deploy.update_config.failure_action`,
    'text',
    'rollback (default, not pause: nobody may be watching), pause or continue',
    'translated',
  ),
  ...policyRows('rollback_config', 'the same on the way back'),
  row(
    `${S}deploy.rollback_config.order`,
    'text',
    'as update_config says of the revision that comes back',
    'translated',
  ),
  row(`${S}deploy.rollback_config.failure_action`, 'text', 'pause (default) or continue'),
  refuse(`${S}deploy.endpoint_mode`, later),

  // the rest of the specification
  row(
    `${S}depends_on`,
    'list|object',
    'a replica starts where what it depends on is there, on whatever cell; what runs goes on without it',
  ),
  row(`${S}depends_on[]`, 'text', 'a service; service_started'),
  row(`${S}depends_on.*`, 'object', 'a service'),
  row(
    `${S}depends_on.*.condition`,
    'text',
    'service_started: a replica of it runs; service_healthy: one is ready; service_completed_successfully: all have ended with exit code 0',
  ),
  row(`${S}depends_on.*.required`, 'flag', 'false: fine where its profile leaves it out'),
  row(
    `${S}depends_on.*.restart`,
    'flag',
    'ignored: a replica that lost what it depends on is not started again for it',
    'translated',
  ),
  row(
    `${S}networks`,
    'list|object|null',
    'one network for all services of the file: it changes nothing for now',
    'translated',
  ),
  row(`${S}networks[]`, 'text', 'its name'),
  row(`${S}networks.*`, 'null|object', 'its name; what a service asks of it is refused'),
  ...refuseAll(
    `${S}networks.*.`,
    'containers have addresses of their engine for now; remove the key',
    'aliases ipv4_address ipv6_address link_local_ips mac_address driver_opts gw_priority interface_name priority',
  ),
  row(`${S}container_name`, 'text', 'ignored: replicas are addressed as APP/SERVICE/N', 'translated'),
  row(`${S}expose`, 'list', 'it publishes nothing, and is for people', 'translated'),
  row(`${S}expose[]`, 'text|int', 'a port'),
  row(`${S}scale`, 'int', 'deploy.replicas', 'translated'),
  row(`${S}cpus`, 'number|text', 'deploy.resources.limits.cpus', 'translated'),
  row(`${S}mem_limit`, 'bytes|int', 'deploy.resources.limits.memory', 'translated'),
  row(`${S}mem_reservation`, 'bytes|int', 'deploy.resources.reservations.memory', 'translated'),
  row(`${S}pids_limit`, 'int', 'deploy.resources.limits.pids', 'translated'),
  row(`${S}tty`, 'flag', 'ignored: replicas run without a terminal; osca exec opens one', 'translated'),
  row(`${S}stdin_open`, 'flag', 'ignored: replicas run without a terminal; osca exec opens one', 'translated'),
  row(`${S}develop`, 'any', 'ignored: it is for docker compose watch', 'translated'),
  refuse(`${S}links`, 'services reach each other by published ports for now; remove the key'),
  ...mountRows('configs', 'files in memory, read only, at /NAME', '/NAME'),
  ...mountRows('secrets', 'files in memory, read only, at /run/secrets/NAME', '/run/secrets/NAME'),
  row(`${S}pull_policy`, 'text', 'missing (default), always before each new container, never, or build'),
  ...hookRows('post_start', 'commands in the container after each start; where one fails, it has not started'),
  ...hookRows('pre_stop', 'commands in the container before it is stopped, within stop_grace_period'),
  row(`${S}gpus`, 'text|int|list', 'GPUs that must be on the cell: all, a number, or a list'),
  row(`${S}gpus[]`, 'object', 'some of them'),
  row(`${S}gpus[].count`, 'int|text', 'how many; all'),
  row(`${S}gpus[].driver`, 'text', 'nvidia', 'translated'),
  row(`${S}gpus[].capabilities`, 'list', 'gpu, and what the driver knows', 'translated'),
  row(`${S}gpus[].capabilities[]`, 'text', 'one', 'translated'),
  row(`${S}gpus[].device_ids`, 'list', 'as many as it names', 'translated'),
  row(`${S}gpus[].device_ids[]`, 'text|int', 'one', 'translated'),
  refuse(`${S}gpus[].options`, later),
  row(`${S}annotations`, 'object|list', 'labels of the container', 'translated'),
  row(`${S}annotations.*`, 'text|number|flag|null', 'its value', 'translated'),
  row(`${S}annotations[]`, 'text', 'NAME=value', 'translated'),
  row(`${S}attach`, 'flag', 'ignored: osca logs shows what each service wrote', 'translated'),
  row(`${S}cpu_period`, 'int|text', 'of the kernel’s scheduler, in µs'),
  row(`${S}cpu_quota`, 'int|text', 'of the kernel’s scheduler, in µs'),
  row(`${S}platform`, 'text', 'OS/ARCH: it runs only on cells of this architecture', 'translated'),

  // for the engine alone
  row(`${S}hostname`, 'text', 'the same for each replica'),
  row(`${S}domainname`, 'text', 'domain of the container'),
  row(`${S}extra_hosts`, 'list|object', 'NAME:IP or NAME=IP'),
  row(`${S}extra_hosts[]`, 'text', 'a host'),
  row(`${S}extra_hosts.*`, 'text|list', 'its address'),
  row(`${S}extra_hosts.*[]`, 'text', 'an address'),
  ...textsRows('dns dns_search', 'text|list', 'for the resolver in the container'),
  ...textsRows('dns_opt', 'list', 'for the resolver in the container'),
  ...textsRows('group_add', 'list', 'more groups of its user'),
  ...textsRows('security_opt', 'list', 'labels, seccomp, apparmor, no-new-privileges'),
  ...textsRows('device_cgroup_rules', 'list', 'what it may do with devices'),
  row(`${S}privileged`, 'flag', 'everything that the host may do'),
  row(`${S}shm_size`, 'bytes|int', 'of /dev/shm'),
  row(`${S}sysctls`, 'object|list', 'kernel settings of the container'),
  row(`${S}sysctls.*`, 'text|number', 'its value'),
  row(`${S}sysctls[]`, 'text', 'NAME=value'),
  row(`${S}devices`, 'list', 'devices of the cell: it runs only where they are'),
  row(`${S}devices[]`, 'text|object', 'HOST[:CONTAINER[:rwm]]'),
  row(`${S}devices[].source`, 'text', 'on the cell'),
  row(`${S}devices[].target`, 'text', 'in the container'),
  row(`${S}devices[].permissions`, 'text', 'of r, w and m'),
  row(`${S}oom_score_adj`, 'number', '-1000 to 1000'),
  row(`${S}oom_kill_disable`, 'flag', 'not killed where memory runs out'),
  row(`${S}memswap_limit`, 'bytes|int', 'memory and swap together; -1 for any'),
  row(`${S}mem_swappiness`, 'int', '0 to 100'),
  row(`${S}cpu_shares`, 'int', 'beside other containers of the cell'),
  row(`${S}cpuset`, 'text', 'cores, as 0-2 or 0,1'),
  row(`${S}cgroup_parent`, 'text', 'its cgroup'),
  row(`${S}cgroup`, 'text', 'host or private'),
  row(`${S}runtime`, 'text', 'OCI runtime of the engine'),
  row(`${S}storage_opt`, 'object', 'of the storage driver'),
  row(`${S}storage_opt.*`, 'text|number', 'its value'),
  row(`${S}userns_mode`, 'text', 'host'),
  row(`${S}uts`, 'text', 'host'),
  row(`${S}pid`, 'text', 'host'),
  row(`${S}ipc`, 'text', 'host, none, private or shareable'),
  row(`${S}network_mode`, 'text', 'host, none or bridge'),
  row(`${S}logging`, 'object', 'as the engine keeps logs; osca logs reads them where the engine can'),
  row(`${S}logging.driver`, 'text', 'json-file where it is not given'),
  row(`${S}logging.options`, 'object', 'max-size, max-file, …'),
  row(`${S}logging.options.*`, 'text|number|flag|null', 'its value'),
  ...refuseAll(
    S,
    later,
    'blkio_config cpu_count cpu_percent cpu_rt_period cpu_rt_runtime credential_spec external_links isolation label_file mac_address models provider use_api_socket volumes_from',
  ),
];
