//! The four schemes on one cluster: who takes over, and who comes back. Before each loss the cluster is asked what will
//! come (`hactl simulate`); what comes is compared with it.

mod scene;
mod stage;

use anyhow::Result;
use had_rig::cluster::vip_of;
use had_rig::{Cluster, ClusterSpec, GroupText};

use crate::schemes::scene::Scene;
use crate::schemes::stage::Stage;
use crate::screen::{Paint, Screen};
use crate::table::Row;

/// Shows all of them on one cluster.
pub(crate) fn show(screen: &Screen) -> Result<Vec<Row>> {
    let mut cluster = Cluster::settled(ClusterSpec::of(3, groups()))?;
    screen.line(
        Paint::Strong,
        "the four schemes, on one cluster of three: who takes over, and who comes back",
    );
    screen.line(
        Paint::Faint,
        "a client for each group; before each loss, hactl simulate says what will come",
    );
    screen.blank();
    let mut rows = Vec::new();
    for scene in Scene::ALL {
        screen.line(Paint::Strong, scene.title());
        let mut stage = Stage::set(screen, &mut cluster, scene.groups())?;
        scene.play(&mut stage)?;
        rows.extend(stage.end(scene.paths())?);
    }
    Ok(rows)
}

/// One group a scheme; reports gives way to orders, and files has its home where mail takes refuge.
fn groups() -> Vec<GroupText> {
    let simple = GroupText::simple_failover("orders", vip_of(2), "h1", "h2");
    let mutual = |name, number, home, partner| {
        GroupText::mutual_takeover(name, vip_of(number), home, &[partner]).failback("auto")
    };
    vec![
        GroupText::idle_standby("web", vip_of(0), &["h3", "h1", "h2"]).failback("auto"),
        GroupText::rotating_standby("queue", vip_of(1), &["h1", "h2", "h3"]),
        simple.displaces(&["reports"]).failback("auto"),
        GroupText::idle_standby("reports", vip_of(3), &["h2"]),
        mutual("mail", 4, "h1", "h2"),
        mutual("files", 5, "h2", "h1"),
    ]
}
