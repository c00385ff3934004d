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
  row('volumes.*.labels', 'object|list', 'kept in the file only; engines get the name', 'translated'),
  row('volumes.*.labels.*', 'text|number|flag|null', 'a label'),
  row('volumes.*.labels[]', 'text', 'a label'),
  refuse('volumes.*.driver', 'only the engine’s local driver is supported; remove the key'),
  refuse('volumes.*.driver_opts', 'only the engine’s local driver is supported; use a bind mount instead'),
  refuse('networks', 'services of an app reach each other by published ports for now; remove networks'),
  refuse('configs', `${later}, and mount a file with volumes`),
  refuse('secrets', `${later}, and mount a file with volumes or use env_file`),
  refuse('include', `${later}, and put the services into one file or use extends`),
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
    'additional_contexts cache_from cache_to dockerfile_inline entitlements extra_hosts isolation labels network no_cache platforms privileged provenance pull sbom secrets shm_size ssh tags ulimits',
  ),
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
  row(`${S}labels`, 'object|list', 'labels of the container'),
  row(`${S}labels.*`, 'text|number|flag|null', 'a label'),
  row(`${S}labels[]`, 'text', 'NAME=value'),
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
    'strict: never on two cells at once, so it runs only where more than half of the cells see each other (default for one replica with a named volume); loose: it may be for moments while a network is cut',
  ),

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
  row(`${S}deploy.mode`, 'text', 'replicated, or global: one on each cell'),
  row(`${S}deploy.replicas`, 'int', 'how many; 1'),
  row(`${S}deploy.labels`, 'object|list', 'labels of the service; put on its containers', 'translated'),
  row(`${S}deploy.labels.*`, 'text|number|flag|null', 'a label'),
  row(`${S}deploy.labels[]`, 'text', 'NAME=value'),
  row(`${S}deploy.resources`, 'object', 'limits and reservations'),
  row(`${S}deploy.resources.limits`, 'object', 'what it may use'),
  row(`${S}deploy.resources.limits.cpus`, 'number|text', 'cores'),
  row(`${S}deploy.resources.limits.memory`, 'bytes|int', 'memory'),
  row(`${S}deploy.resources.limits.pids`, 'int', 'processes'),
  row(`${S}deploy.resources.reservations`, 'object', 'what must be free on the cell'),
  row(`${S}deploy.resources.reservations.cpus`, 'number|text', 'cores'),
  row(`${S}deploy.resources.reservations.memory`, 'bytes|int', 'memory'),
  refuse(`${S}deploy.resources.reservations.devices`, later),
  refuse(`${S}deploy.resources.reservations.generic_resources`, later),
  row(`${S}deploy.placement`, 'object', 'where'),
  row(`${S}deploy.placement.constraints`, 'list', 'all must hold'),
  row(
    `${S}deploy.placement.constraints[]`,
    'text',
    'node.labels.X == Y, node.hostname, node.id, node.platform.os, node.platform.arch; also !=',
  ),
  refuse(`${S}deploy.placement.preferences`, 'replicas spread over cells by themselves; remove the key'),
  refuse(`${S}deploy.placement.max_replicas_per_node`, 'replicas spread over cells by themselves; remove the key'),
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
  refuse(`${S}depends_on`, 'services start together and are restarted until they succeed; remove the key'),
  refuse(`${S}networks`, 'services reach each other by published ports for now; remove the key'),
  refuse(`${S}network_mode`, 'containers use the engine’s default network for now; remove the key'),
  refuse(`${S}container_name`, 'replicas are addressed as APP/SERVICE/N; remove the key'),
  refuse(`${S}expose`, 'it publishes nothing; remove the key, or use ports'),
  refuse(`${S}scale`, 'write deploy.replicas'),
  refuse(`${S}cpus`, 'write deploy.resources.limits.cpus'),
  refuse(`${S}mem_limit`, 'write deploy.resources.limits.memory'),
  refuse(`${S}mem_reservation`, 'write deploy.resources.reservations.memory'),
  refuse(`${S}pids_limit`, 'write deploy.resources.limits.pids'),
  refuse(`${S}logging`, 'logs stay with the engine and are read with osca logs; remove the key'),
  refuse(`${S}hostname`, 'it would be the same for every replica; remove the key'),
  refuse(`${S}links`, 'services reach each other by published ports for now; remove the key'),
  refuse(`${S}secrets`, `${later}, and mount a file with volumes or use env_file`),
  refuse(`${S}configs`, `${later}, and mount a file with volumes`),
  refuse(`${S}privileged`, `${later}, and name the capabilities in cap_add`),
  refuse(`${S}tty`, 'services run without a terminal; remove the key; osca exec opens one'),
  refuse(`${S}stdin_open`, 'services run without a terminal; remove the key; osca exec opens one'),
  refuse(`${S}develop`, 'it is for docker compose watch; remove the key'),
  refuse(`${S}pull_policy`, 'an image is pulled where it is missing; remove the key'),
  refuse(`${S}platform`, 'use deploy.placement.constraints: node.platform.arch == arm64'),
  ...refuseAll(
    S,
    later,
    'annotations attach blkio_config cgroup cgroup_parent cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpuset credential_spec device_cgroup_rules devices dns dns_opt dns_search domainname external_links extra_hosts gpus group_add ipc isolation label_file mac_address mem_swappiness memswap_limit models oom_kill_disable oom_score_adj pid post_start pre_stop provider runtime security_opt shm_size storage_opt sysctls use_api_socket userns_mode uts volumes_from',
  ),
];
