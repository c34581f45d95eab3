//! What can be done to the running process.

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Reload,
    TrafficSet,
    TrafficSwitch,
    TrafficShift,
    TrafficHalt,
    TrafficResume,
    TrafficRollback,
    TrafficReset,
    BanLift,
    TargetRegister,
    TargetDeregister,
}

impl Action {
    const ALL: [Self; 11] = [
        Self::Reload,
        Self::TrafficSet,
        Self::TrafficSwitch,
        Self::TrafficShift,
        Self::TrafficHalt,
        Self::TrafficResume,
        Self::TrafficRollback,
        Self::TrafficReset,
        Self::BanLift,
        Self::TargetRegister,
        Self::TargetDeregister,
    ];

    /// As the audit calls it: the resource's word, a full stop and a verb.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reload => "configuration.reload",
            Self::TrafficSet => "traffic.set",
            Self::TrafficSwitch => "traffic.switch",
            Self::TrafficShift => "traffic.shift",
            Self::TrafficHalt => "traffic.halt",
            Self::TrafficResume => "traffic.resume",
            Self::TrafficRollback => "traffic.rollback",
            Self::TrafficReset => "traffic.reset",
            Self::BanLift => "ban.lift",
            Self::TargetRegister => "target.register",
            Self::TargetDeregister => "target.deregister",
        }
    }

    /// The resource's word.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Reload => "configuration",
            Self::TrafficSet
            | Self::TrafficSwitch
            | Self::TrafficShift
            | Self::TrafficHalt
            | Self::TrafficResume
            | Self::TrafficRollback
            | Self::TrafficReset => "split",
            Self::BanLift => "ban",
            Self::TargetRegister | Self::TargetDeregister => "target",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}
