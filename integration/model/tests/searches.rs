//! The protocol holds in every history within its scopes, and each planted mistake breaks it in one.

use had_model::plant::Plant;
use had_model::scope::Scope;
use had_model::search;

/// A whole search: kept, nothing left out, everything possible that must be, and as many states as it had when it was written,
/// give or take: a rule that is lost or added changes them by more.
fn holds(scope: Scope, unique: std::ops::Range<usize>) {
    let found = search::whole(scope, 1);
    assert_eq!(found.broken, None, "{scope}");
    assert!(found.whole, "{scope} was not searched whole");
    assert_eq!(found.missing, Vec::<&str>::new(), "{scope}");
    assert!(
        unique.contains(&found.unique),
        "{scope}: {} states, expected {unique:?}",
        found.unique
    );
}

/// A mistake breaks the promise, in a history that can be told.
fn breaks(plant: Plant) {
    let found = search::planted(plant);
    let steps = found
        .broken
        .unwrap_or_else(|| panic!("{plant} was not found"));
    assert!(!steps.is_empty() && steps.len() < 20, "{plant}: {steps:#?}");
}

macro_rules! searches {
    ($($name:ident: $scope:ident, $unique:expr;)*) => {
        $(#[test] fn $name() { holds(Scope::$scope, $unique); })*

        #[test]
        fn every_scope_is_searched() {
            let searched = [$(Scope::$scope),*];
            // The two leaders' changes take half as long as all others together: `cargo model` searches them.
            let left_out = Scope::ALL.into_iter().filter(|scope| !searched.contains(scope));
            assert_eq!(left_out.collect::<Vec<_>>(), [Scope::Leaders]);
        }
    };
}

macro_rules! mistakes {
    ($($name:ident: $plant:ident;)*) => {
        $(#[test] fn $name() { breaks(Plant::$plant); })*

        #[test]
        fn every_mistake_is_looked_for() {
            let sought = [$(Plant::$plant),*];
            assert!(Plant::ALL.into_iter().all(|plant| sought.contains(&plant)));
        }
    };
}

searches! {
    leases_hold: Leases, 400_000..550_000;
    a_quorum_is_as_old_as_its_requests: Quorum, 550_000..750_000;
    restarts_are_safe: Restarts, 800_000..1_100_000;
    voters_that_crash_are_safe: Voters, 420_000..600_000;
    clocks_may_err_within_the_margin: Clocks, 820_000..1_150_000;
    releases_are_safe: Release, 1_100_000..1_600_000;
    an_inherited_gate_is_safe: Inheritance, 630_000..900_000;
    a_late_write_is_safe: Gate, 48_000..66_000;
}

mistakes! {
    a_lease_counted_from_receipt_is_found: LeaseCountedFromReceipt;
    a_record_ended_too_early_is_found: RecordEndedTooEarly;
    a_new_leader_that_does_not_hold_is_found: NewLeaderDoesNotHold;
    a_hold_shortened_by_waiting_is_found: HoldShortenedByWaiting;
    an_index_without_own_proposals_is_found: IndexWithoutOwnProposals;
    an_ignored_index_is_found: IndexIgnored;
    a_pipelined_acknowledgement_is_found: PipelinedAcknowledgement;
    a_restored_leader_is_found: LeaderRestored;
    a_check_apart_from_its_proposal_is_found: CheckAndProposalInTwoSteps;
    a_grant_while_deciding_is_found: NotRevokedWhileDeciding;
    a_vote_written_late_is_found: VoteWrittenAfterItWasSent;
    a_missing_margin_is_found: NoMarginForClocks;
    a_release_that_does_not_bind_is_found: ReleaseNotBinding;
    a_release_not_awaited_is_found: ReleaseNotAwaited;
    a_forgotten_gate_is_found: InheritedGateForgotten;
    a_relative_timeout_is_found: RelativeGateTimeout;
    an_unpinned_gate_is_found: UnpinnedGate;
}
