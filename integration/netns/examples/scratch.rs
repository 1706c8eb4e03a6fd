//! scratch
use had_rig::*;
use std::time::*;
fn main() -> std::process::ExitCode {
    enter::enter(|| {
        let mut c = Cluster::new(ClusterSpec::default())?;
        let w = c.client();
        if let Err(e) = &w {
            println!("{e:#}");
        }
        for n in c.names() {
            println!("== {n}\n{}", c.log_tail(&n, 60));
        }
        let Ok(w) = w else {
            return Ok(std::process::ExitCode::FAILURE);
        };
        let owner = w.latest().unwrap().who.to_string();
        let at = c.lab.cut_all(&owner)?;
        std::thread::sleep(Duration::from_secs(2));
        println!(
            "cut {owner}: {:?} turns {:?}",
            w.record().silence_after(at),
            w.record().turns_after(at)
        );
        for n in c.names() {
            println!("== {n}\n{}", c.log_tail(&n, 30));
        }
        Ok(std::process::ExitCode::SUCCESS)
    })
}
