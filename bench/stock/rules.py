"""The alerts that kube-prometheus brings: their names, their severities, and the labels that they fire with.

A name with two severities is two rules. What differs from one of its alerts to the next stands in `{braces}`.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """One alerting rule: its labels, of which some are templates."""

    name: str
    severity: str
    labels: dict[str, str]


STATE = "job=kube-state-metrics namespace={namespace}"
NODE = "job=node-exporter namespace=monitoring service=node-exporter instance={node}"
KUBELET = "job=kubelet namespace=kube-system service=kubelet node={node}"
API = "job=apiserver"
PROMETHEUS = "job=prometheus-k8s namespace=monitoring service=prometheus-k8s pod=prometheus-k8s-{few}"
ALERTMANAGER = "job=alertmanager-main namespace=monitoring service=alertmanager-main pod=alertmanager-main-{few}"
OPERATOR = "job=prometheus-operator namespace=monitoring controller=prometheus"
ETCD = "job=etcd namespace=kube-system service=etcd instance={node}"

# What they fire with, how bad they say it is, and the names of those that are so.
TABLE = (
    ("", "none", "Watchdog"),
    ("namespace={namespace}", "none", "InfoInhibitor"),
    ("job={app} namespace={namespace} service={app}", "warning", "TargetDown"),
    ("namespace=monitoring pod=node-exporter-{pod}", "warning", "ConfigReloaderSidecarErrors"),
    # Alertmanager
    (ALERTMANAGER, "critical", "AlertmanagerFailedReload AlertmanagerMembersInconsistent"),
    (ALERTMANAGER, "warning", "AlertmanagerFailedToSendAlerts"),
    ("namespace=monitoring service=alertmanager-main integration={integration}", "critical",
     "AlertmanagerClusterFailedToSendAlerts"),
    ("namespace=monitoring service=alertmanager-main integration={integration}", "warning",
     "AlertmanagerClusterFailedToSendAlerts"),
    ("namespace=monitoring service=alertmanager-main", "critical",
     "AlertmanagerConfigInconsistent AlertmanagerClusterDown AlertmanagerClusterCrashlooping"),
    # etcd
    (ETCD, "warning", "etcdMembersDown etcdHighNumberOfLeaderChanges etcdMemberCommunicationSlow "
     "etcdHighNumberOfFailedProposals etcdHighFsyncDurations etcdHighCommitDurations etcdExcessiveDatabaseGrowth "
     "etcdDatabaseHighFragmentationRatio etcdHighNumberOfFailedGRPCRequests"),
    (ETCD, "critical", "etcdInsufficientMembers etcdNoLeader etcdHighNumberOfFailedGRPCRequests etcdGRPCRequestsSlow "
     "etcdHighFsyncDurations etcdDatabaseQuotaLowSpace"),
    # the API server and the control plane
    (f"{API} long=1h short=5m", "critical", "KubeAPIErrorBudgetBurn"),
    (f"{API} long=1d short=2h", "warning", "KubeAPIErrorBudgetBurn"),
    (API, "critical", "KubeAPIDown KubeClientCertificateExpiration"),
    (API, "warning", "KubeClientCertificateExpiration KubeAPITerminatedRequests"),
    ("name=v1beta1.{app}.example.com namespace={namespace}", "warning",
     "KubeAggregatedAPIErrors KubeAggregatedAPIDown"),
    ("job=kube-scheduler", "critical", "KubeSchedulerDown"),
    ("job=kube-controller-manager", "critical", "KubeControllerManagerDown"),
    ("job=kube-proxy", "critical", "KubeProxyDown"),
    ("job=kube-state-metrics", "critical", "KubeStateMetricsListErrors KubeStateMetricsWatchErrors "
     "KubeStateMetricsShardingMismatch KubeStateMetricsShardsMissing"),
    # workloads
    (f"{STATE} pod={{app}}-{{pod}} container={{app}}", "warning", "KubePodCrashLooping KubeContainerWaiting"),
    (f"{STATE} pod={{app}}-{{pod}}", "warning", "KubePodNotReady"),
    (f"{STATE} deployment={{app}}", "warning", "KubeDeploymentGenerationMismatch KubeDeploymentReplicasMismatch "
     "KubeDeploymentRolloutStuck"),
    (f"{STATE} statefulset={{app}}", "warning", "KubeStatefulSetReplicasMismatch KubeStatefulSetGenerationMismatch "
     "KubeStatefulSetUpdateNotRolledOut"),
    (f"{STATE} daemonset={{app}}", "warning", "KubeDaemonSetRolloutStuck KubeDaemonSetNotScheduled "
     "KubeDaemonSetMisScheduled"),
    (f"{STATE} job_name={{app}}-{{pod}}", "warning", "KubeJobNotCompleted KubeJobFailed"),
    (f"{STATE} horizontalpodautoscaler={{app}}", "warning", "KubeHpaReplicasMismatch KubeHpaMaxedOut"),
    (f"{STATE} poddisruptionbudget={{app}}", "warning", "KubePdbNotEnoughHealthyPods"),
    # resources
    ("", "warning", "KubeCPUOvercommit KubeMemoryOvercommit KubeCPUQuotaOvercommit KubeMemoryQuotaOvercommit"),
    (f"{STATE} resource=requests.cpu", "info", "KubeQuotaAlmostFull KubeQuotaFullyUsed"),
    (f"{STATE} resource=requests.cpu", "warning", "KubeQuotaExceeded"),
    ("namespace={namespace} pod={app}-{pod} container={app}", "info", "CPUThrottlingHigh"),
    (f"{KUBELET} persistentvolumeclaim=data-{{app}}-{{few}}", "critical", "KubePersistentVolumeFillingUp "
     "KubePersistentVolumeInodesFillingUp KubePersistentVolumeErrors"),
    (f"{KUBELET} persistentvolumeclaim=data-{{app}}-{{few}}", "warning", "KubePersistentVolumeFillingUp "
     "KubePersistentVolumeInodesFillingUp"),
    ("", "warning", "KubeVersionMismatch"),
    ("job=kubelet instance={node}", "warning", "KubeClientErrors"),
    # kubelets
    ("job=kube-state-metrics node={node}", "warning", "KubeNodeNotReady KubeNodeUnreachable KubeNodeReadinessFlapping"),
    ("job=kube-state-metrics node={node}", "info", "KubeNodePressure KubeletTooManyPods"),
    (KUBELET, "info", "KubeNodeEviction"),
    (KUBELET, "warning", "KubeletPlegDurationHigh KubeletPodStartUpLatencyHigh KubeletClientCertificateExpiration "
     "KubeletServerCertificateExpiration KubeletClientCertificateRenewalErrors KubeletServerCertificateRenewalErrors"),
    (KUBELET, "critical", "KubeletClientCertificateExpiration KubeletServerCertificateExpiration"),
    ("job=kubelet", "critical", "KubeletDown"),
    # nodes
    (f"{NODE} device=/dev/sd{{few}} mountpoint=/", "warning", "NodeFilesystemSpaceFillingUp "
     "NodeFilesystemAlmostOutOfSpace NodeFilesystemFilesFillingUp NodeFilesystemAlmostOutOfFiles"),
    (f"{NODE} device=/dev/sd{{few}} mountpoint=/", "critical", "NodeFilesystemSpaceFillingUp "
     "NodeFilesystemAlmostOutOfSpace NodeFilesystemFilesFillingUp NodeFilesystemAlmostOutOfFiles"),
    (f"{NODE} device=eth{{few}}", "warning", "NodeNetworkReceiveErrs NodeNetworkTransmitErrs "
     "NodeNetworkInterfaceFlapping NodeBondingDegraded"),
    (f"{NODE} device=md0", "critical", "NodeRAIDDegraded"),
    (f"{NODE} device=md0", "warning", "NodeRAIDDiskFailure NodeDiskIOSaturation"),
    (NODE, "critical", "NodeFileDescriptorLimit"),
    (NODE, "warning", "NodeFileDescriptorLimit NodeHighNumberConntrackEntriesUsed NodeTextFileCollectorScrapeError "
     "NodeClockSkewDetected NodeClockNotSynchronising NodeSystemSaturation NodeMemoryMajorPagesFaults "
     "NodeMemoryHighUtilization NodeSystemdServiceFailed NodeSystemdServiceCrashlooping"),
    (NODE, "info", "NodeCPUHighUsage"),
    # Prometheus and its operator
    (PROMETHEUS, "critical", "PrometheusBadConfig PrometheusRemoteStorageFailures PrometheusRemoteWriteBehind "
     "PrometheusRuleFailures PrometheusTargetSyncFailure PrometheusErrorSendingAlertsToAnyAlertmanager"),
    (PROMETHEUS, "warning", "PrometheusSDRefreshFailure PrometheusKubernetesListWatchFailures "
     "PrometheusNotificationQueueRunningFull PrometheusErrorSendingAlertsToSomeAlertmanagers "
     "PrometheusNotConnectedToAlertmanagers PrometheusTSDBReloadsFailing PrometheusTSDBCompactionsFailing "
     "PrometheusNotIngestingSamples PrometheusDuplicateTimestamps PrometheusOutOfOrderTimestamps "
     "PrometheusRemoteWriteDesiredShards PrometheusMissingRuleEvaluations PrometheusTargetLimitHit "
     "PrometheusLabelLimitHit PrometheusScrapeBodySizeLimitHit PrometheusScrapeSampleLimitHit PrometheusHighQueryLoad"),
    (OPERATOR, "warning", "PrometheusOperatorListErrors PrometheusOperatorWatchErrors PrometheusOperatorSyncFailed "
     "PrometheusOperatorReconcileErrors PrometheusOperatorStatusUpdateErrors PrometheusOperatorNodeLookupErrors "
     "PrometheusOperatorNotReady PrometheusOperatorRejectedResources"),
)  # fmt: skip


def _labels(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split())


RULES = [Rule(name, severity, _labels(labels)) for labels, severity, names in TABLE for name in names.split()]
