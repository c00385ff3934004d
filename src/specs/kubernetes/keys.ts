/**
 * Every key of the Kubernetes manifests that are read, in a table of the form of compose-keys.ts: what it may be, and what becomes of
 * it. Paths begin with the kind; `pod` stands for what a pod template holds, wherever it stands.
 */
import type { KeyRow } from '../key-rows.ts';
import { containerRows } from './container-keys.ts';
import { podRows } from './pod-keys.ts';
import { cluster, refused, row, rows } from './rows.ts';

/** kind, apiVersion, metadata: of every object. */
function head(kind: string): KeyRow[] {
  return [
    row(kind, 'object', 'one object'),
    row(`${kind}.apiVersion`, 'text', 'any version of it'),
    row(`${kind}.kind`, 'text', 'what it is'),
    ...metadata(`${kind}.metadata`, 'its name'),
    ...rows(`${kind}.`, 'translated', 'ignored: what a cluster once said of it', 'status'),
  ];
}

function metadata(path: string, note: string): KeyRow[] {
  return [
    row(path, 'object', note),
    row(`${path}.name`, 'text', 'name of the service, or of what it holds'),
    row(
      `${path}.labels`,
      'object|null',
      'of a pod (template): labels of the containers, what selectors select; of other objects: ignored',
    ),
    row(`${path}.labels.*`, 'text|number|flag|null', 'a label'),
    row(`${path}.namespace`, 'text', 'ignored: all objects of a file are one app', 'translated'),
    row(`${path}.annotations`, 'any', 'ignored', 'translated'),
    ...rows(
      `${path}.`,
      'translated',
      cluster,
      'creationTimestamp uid resourceVersion generation managedFields ownerReferences finalizers selfLink deletionTimestamp deletionGracePeriodSeconds',
    ),
    ...rows(`${path}.`, refused, 'give it a name', 'generateName'),
  ];
}

function template(path: string): KeyRow[] {
  return [
    row(path, 'object', 'what each replica is'),
    ...metadata(`${path}.metadata`, 'labels of the containers'),
    row(`${path}.spec`, 'any', 'a pod'),
  ];
}

const selector = (kind: string): KeyRow[] =>
  rows(`${kind}.spec.`, 'translated', 'ignored: the object itself knows its replicas', 'selector');

function jobRows(path: string): KeyRow[] {
  return [
    row(path, 'object', 'how it runs'),
    row(`${path}.completions`, 'int', 'how often; as parallelism'),
    row(`${path}.parallelism`, 'int', 'at once; 1'),
    row(`${path}.backoffLimit`, 'int', 'one that fails is tried again so often; 6'),
    row(`${path}.activeDeadlineSeconds`, 'int', 'it has failed where it takes longer'),
    ...template(`${path}.template`),
    ...rows(
      `${path}.`,
      'translated',
      'ignored: the last ten runs are kept',
      'ttlSecondsAfterFinished selector manualSelector podReplacementPolicy managedBy',
    ),
    row(`${path}.completionMode`, 'text', 'Indexed: each completion has its number in JOB_COMPLETION_INDEX'),
    ...rows(
      `${path}.`,
      refused,
      'a run fails with its first replica that used up backoffLimit; remove the key',
      'backoffLimitPerIndex maxFailedIndexes podFailurePolicy successPolicy',
    ),
    row(`${path}.suspend`, 'flag', 'false; osca stop holds a job back'),
  ];
}

const deployment = (kind: string): KeyRow[] => [
  ...head(kind),
  row(`${kind}.spec`, 'object', 'what runs'),
  row(`${kind}.spec.replicas`, 'int', 'how many; 1'),
  ...template(`${kind}.spec.template`),
  ...selector(kind),
  row(`${kind}.spec.minReadySeconds`, 'int', 'a replica that falls this soon after it came has failed; 5'),
  ...rows(
    `${kind}.spec.`,
    'translated',
    'ignored: the last ten revisions are kept, and a change waits as long as it takes',
    'revisionHistoryLimit progressDeadlineSeconds',
  ),
];

export const kubernetesKeys: readonly KeyRow[] = [
  ...head('Pod'),
  row('Pod.spec', 'any', 'a pod: a service of one replica'),
  ...deployment('Deployment'),
  ...rows('Deployment.spec.', refused, 'use osca pause APP', 'paused'),
  row('Deployment.spec.strategy', 'object', 'how a change goes through it'),
  row('Deployment.spec.strategy.type', 'text', 'RollingUpdate (start-first) or Recreate (stop-first, all at once)'),
  row('Deployment.spec.strategy.rollingUpdate', 'object|null', 'how many at once'),
  row('Deployment.spec.strategy.rollingUpdate.maxSurge', 'int|text', 'number, or percent; 25 %', 'translated'),
  row('Deployment.spec.strategy.rollingUpdate.maxUnavailable', 'int|text', 'as maxSurge where that is 0', 'translated'),
  ...deployment('StatefulSet'),
  row(
    'StatefulSet.spec.serviceName',
    'text',
    'ignored: replicas are addressed as APP/SERVICE/N; their host is called NAME-0, NAME-1, …',
    'translated',
  ),
  ...rows(
    'StatefulSet.spec.',
    'translated',
    'one replica after the other, stop-first where it keeps data',
    'updateStrategy podManagementPolicy ordinals',
  ),
  ...rows('StatefulSet.spec.', 'translated', 'ignored: volumes are kept', 'persistentVolumeClaimRetentionPolicy'),
  row(
    'StatefulSet.spec.volumeClaimTemplates',
    'list',
    'a named volume for each replica: at most one replica on a cell',
  ),
  row('StatefulSet.spec.volumeClaimTemplates[]', 'any', 'a PersistentVolumeClaim'),
  ...head('DaemonSet'),
  row('DaemonSet.spec', 'object', 'what runs on every cell'),
  ...template('DaemonSet.spec.template'),
  ...selector('DaemonSet'),
  row('DaemonSet.spec.minReadySeconds', 'int', 'a replica that falls this soon after it came has failed; 5'),
  ...rows('DaemonSet.spec.', 'translated', 'one cell after the other', 'updateStrategy revisionHistoryLimit'),
  ...head('Job'),
  ...jobRows('Job.spec'),
  ...head('CronJob'),
  row('CronJob.spec', 'object', 'when it runs, and how'),
  row('CronJob.spec.schedule', 'text', 'its times'),
  row('CronJob.spec.timeZone', 'text|null', 'such as Europe/Berlin; UTC'),
  row('CronJob.spec.concurrencyPolicy', 'text', 'Allow or Forbid; Replace can not be had'),
  row(
    'CronJob.spec.startingDeadlineSeconds',
    'int',
    '0 to 60: a time that was missed is skipped; else it runs late',
    'translated',
  ),
  row('CronJob.spec.suspend', 'flag', 'false; osca stop holds a schedule back'),
  row('CronJob.spec.jobTemplate', 'object', 'the job'),
  ...metadata('CronJob.spec.jobTemplate.metadata', 'ignored'),
  ...jobRows('CronJob.spec.jobTemplate.spec'),
  ...rows(
    'CronJob.spec.',
    'translated',
    'ignored: the last ten runs are kept',
    'successfulJobsHistoryLimit failedJobsHistoryLimit',
  ),
  ...head('Service'),
  row('Service.spec', 'object', 'which ports are reached from outside'),
  row(
    'Service.spec.type',
    'text',
    'NodePort and LoadBalancer publish ports on the cells that run a replica; ClusterIP publishes none',
    'translated',
  ),
  row('Service.spec.selector', 'object|null', 'labels of the pods that it is for'),
  row('Service.spec.selector.*', 'text', 'a label'),
  row('Service.spec.ports', 'list', 'ports'),
  row('Service.spec.ports[]', 'object', 'a port'),
  row('Service.spec.ports[].name', 'text', 'for people'),
  row('Service.spec.ports[].port', 'int', 'of a LoadBalancer: the port on the cell'),
  row('Service.spec.ports[].targetPort', 'int|text', 'in the container: number or name; port'),
  row('Service.spec.ports[].nodePort', 'int', 'the port on the cell; any free one'),
  row('Service.spec.ports[].protocol', 'text', 'TCP or UDP'),
  ...rows('Service.spec.ports[].', 'translated', 'for people; ignored', 'appProtocol'),
  ...rows('Service.spec.', refused, 'name the host in the variables of what uses it', 'externalName'),
  ...rows(
    'Service.spec.',
    'translated',
    cluster,
    'clusterIP clusterIPs ipFamilies ipFamilyPolicy sessionAffinity sessionAffinityConfig externalTrafficPolicy internalTrafficPolicy publishNotReadyAddresses loadBalancerIP loadBalancerClass loadBalancerSourceRanges allocateLoadBalancerNodePorts healthCheckNodePort externalIPs trafficDistribution',
  ),
  ...head('ConfigMap'),
  row('ConfigMap.data', 'object|null', 'texts'),
  row('ConfigMap.data.*', 'text', 'a text'),
  row('ConfigMap.binaryData', 'object|null', 'bytes'),
  row('ConfigMap.binaryData.*', 'text', 'base64'),
  ...rows('ConfigMap.', 'translated', cluster, 'immutable'),
  ...head('Secret'),
  row('Secret.type', 'text', 'for people; ignored', 'translated'),
  row('Secret.data', 'object|null', 'bytes'),
  row('Secret.data.*', 'text', 'base64'),
  row('Secret.stringData', 'object|null', 'texts'),
  row('Secret.stringData.*', 'text|number|flag', 'a text'),
  ...rows('Secret.', 'translated', cluster, 'immutable'),
  ...head('PersistentVolumeClaim'),
  row(
    'PersistentVolumeClaim.spec',
    'any',
    'a named volume of the cell that runs the replica, or what a PersistentVolume of the file says, by volumeName, claimRef or class',
    'translated',
  ),
  ...head('PersistentVolume'),
  row(
    'PersistentVolume.spec',
    'any',
    'where the claim that takes it keeps its data: hostPath and local are a folder of the cell, nfs one of another machine; others are refused',
    'translated',
  ),
  ...head('Namespace'),
  row('Namespace.spec', 'any', 'ignored: all objects of a file are one app', 'translated'),
  ...['StorageClass', 'PriorityClass'].flatMap((kind) => [
    ...head(kind),
    ...rows(
      `${kind}.`,
      'translated',
      cluster,
      'provisioner parameters reclaimPolicy allowVolumeExpansion mountOptions volumeBindingMode allowedTopologies value globalDefault description preemptionPolicy',
    ),
  ]),
  ...head('ServiceAccount'),
  ...rows(
    'ServiceAccount.',
    'translated',
    'ignored: there is no Kubernetes API to ask',
    'secrets imagePullSecrets automountServiceAccountToken',
  ),
  ...head('PodDisruptionBudget'),
  row('PodDisruptionBudget.spec', 'any', 'ignored: what moves is made before it is broken', 'translated'),
  ...podRows,
  ...containerRows,
];

/** Kinds that are known and refused, and why. */
export const refusedKinds: Readonly<Record<string, string>> = {
  HorizontalPodAutoscaler: 'set replicas; scaling by load comes with a later release',
  Ingress: 'publish ports with a Service of type LoadBalancer; names and paths come with a later release',
  IngressClass: 'remove it; names and paths come with a later release',
  NetworkPolicy: 'remove it; networks between services come with a later release',
  ReplicationController: 'write a Deployment',
  HTTPRoute: 'publish ports with a Service of type NodePort or LoadBalancer',
  PodSecurityPolicy: 'remove it; what a container may do stands in its securityContext',
  EndpointSlice: 'remove it; write the address into a variable',
  IngressRoute: 'publish ports with a Service of type NodePort or LoadBalancer',
  Kustomization: 'build it first, with kubectl kustomize',
  HelmRelease: 'render it first, with helm template',
  HelmChart: 'render it first, with helm template',
  SealedSecret: 'write a Secret; its contents are sealed here',
  ExternalSecret: 'write a Secret; its contents are sealed here',
  ServiceMonitor: 'remove it; it is for an operator that is not here',
  PodMonitor: 'remove it; it is for an operator that is not here',
  Certificate: 'remove it; it is for an operator that is not here',
  Role: 'remove it; there is no Kubernetes API to ask',
  RoleBinding: 'remove it; there is no Kubernetes API to ask',
  ClusterRole: 'remove it; there is no Kubernetes API to ask',
  ClusterRoleBinding: 'remove it; there is no Kubernetes API to ask',
  CustomResourceDefinition: 'remove it; there is no Kubernetes API to extend',
  Endpoints: 'name the host in the variables of what uses it',
  LimitRange: 'set resources of each container',
  ResourceQuota: 'set resources of each container',
};
