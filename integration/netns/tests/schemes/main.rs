//! The four schemes, and what operators do with them. Before each loss `hactl simulate` says what will come; what comes is
//! compared with it, on the nodes and on the wire.

mod by_operator;
mod explained;
mod idle_standby;
mod many_groups;
mod mutual_takeover;
mod no_quorum;
mod rotating_standby;
mod simple_failover;

use std::process::ExitCode;

use anyhow::Result;
use had_netns::trial;
use had_rig::binaries::Binaries;
use had_rig::story::{Story, tell};

/// `nobody`, an ordinary user on every system.
const NOBODY: u32 = 65534;

fn main() -> Result<ExitCode> {
    Binaries::build()?;
    Ok(tell(&[
        Story::new(
            "idle_standby_goes_to_the_highest_priority_that_lives",
            idle_standby::three_losses,
        ),
        Story::new(
            "idle_standby_fails_back_as_its_file_says",
            idle_standby::failbacks,
        ),
        Story::new(
            "rotating_standby_is_first_in_first_out",
            rotating_standby::first_in_first_out,
        ),
        Story::new(
            "the_same_as_an_ordinary_user",
            rotating_standby::first_in_first_out,
        )
        .as_user(NOBODY),
        Story::new(
            "a_head_of_the_queue_without_carrier_keeps_its_place",
            rotating_standby::vetoed_head,
        ),
        Story::new(
            "simple_failover_displaces_on_the_backup_and_lets_resume",
            simple_failover::displaced,
        ),
        Story::new(
            "a_displaced_group_with_another_node_moves_there",
            simple_failover::moves_aside,
        ),
        Story::new(
            "simple_failover_as_an_ordinary_user",
            simple_failover::displaced,
        )
        .as_user(NOBODY),
        Story::new(
            "mutual_takeover_carries_both_and_each_goes_home",
            mutual_takeover::both_on_one,
        ),
        Story::new(
            "of_two_partners_the_one_with_room_takes_over",
            mutual_takeover::by_capacity,
        ),
        Story::new(
            "every_node_explains_the_same_and_remembers_the_owner_before",
            explained::everywhere,
        ),
        Story::new(
            "a_stopped_group_is_silent_until_it_is_started",
            by_operator::stopped,
        ),
        Story::new("a_failed_start_is_forgotten_by_clear", by_operator::cleared),
        Story::new(
            "in_maintenance_nothing_is_touched",
            by_operator::maintenance,
        ),
        Story::new(
            "a_daemon_started_in_maintenance_starts_nothing",
            by_operator::started_in_maintenance,
        ),
        Story::new(
            "a_group_that_keeps_goes_on_without_a_majority",
            no_quorum::keeps,
        ),
        Story::new(
            "a_group_that_keeps_gives_way_when_it_hears_of_another",
            no_quorum::gives_way,
        ),
        Story::new("many_groups_are_served_again", many_groups::served_again).within(trial::LIMIT),
    ]))
}
