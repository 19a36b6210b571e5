//! The life of processes, and the ends of system calls in the tier that the plan has for each.

use crypto_trace_format::record::Tier;

use crate::programs::Programs;
use crate::report::report;
use crate::tiers::Plan;

impl Programs {
    /// The life of processes first, so that none whose calls are seen is unknown.
    pub(crate) fn attach_calls(&mut self, plan: &Plan) {
        let progs = &self.skel.progs;
        let tracing = [
            (&progs.process_exec, "process_exec", "tp_btf:sched_process_exec"),
            (&progs.process_fork, "process_fork", "tp_btf:sched_process_fork"),
            (&progs.process_exit, "process_exit", "tp_btf:sched_process_exit"),
        ];
        for (program, probe, target) in tracing {
            self.reports.push(report(probe, Tier::RAW_TRACEPOINT, target, program.attach(), &mut self.links));
        }
        self.reports.extend(plan.attach(&self.skel, &mut self.links));
    }
}
