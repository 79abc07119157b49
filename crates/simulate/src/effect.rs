//! What befalls servers over time.

use crate::calendar::Event;
use crate::clock::{Nanos, nanos, nanos_of_ms, seconds};
use crate::scenario::{Effect, What};
use crate::server::Task;
use crate::world::World;

/// What a connection to a server meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Open,
    Refuses,
    Unreachable,
}

/// What never ends, ends then: in 73 years.
const NEVER: Nanos = Nanos::MAX / 8;

impl Effect {
    pub(crate) fn begins(&self) -> Nanos {
        nanos_of_ms(self.from_ms)
    }

    pub(crate) fn ends(&self) -> Nanos {
        self.until_ms.map_or(NEVER, nanos_of_ms)
    }

    /// How many times as long everything takes.
    pub(crate) fn slowness(&self, now: Nanos) -> f64 {
        match self.what {
            What::Slow { factor } => factor,
            What::Cold { factor } => {
                let whole = seconds(self.ends() - self.begins());
                let left = seconds(self.ends().saturating_sub(now));
                if whole > 0.0 { 1.0 + (factor - 1.0) * left / whole } else { 1.0 }
            }
            _ => 1.0,
        }
    }
}

impl World<'_> {
    /// Has every effect begin and end in its time.
    pub(crate) fn expect_effects(&mut self) {
        for (effect, described) in (0..).zip(&self.scenario.effects) {
            self.calendar.add(described.begins(), Event::Begin { effect });
            if described.until_ms.is_some() {
                self.calendar.add(described.ends(), Event::End { effect });
            }
        }
    }

    pub(crate) fn begin(&mut self, effect: u32) {
        let described = &self.scenario.effects[effect as usize];
        let now = self.clock.now();
        let mut cut = Vec::new();
        for &server in &described.servers {
            let own = self.servers.of_mut(server);
            own.effects.push(effect);
            match described.what {
                What::Hang => own.pause(described.ends(), now),
                What::Pauses { every_ms, .. } => {
                    let within = seconds(nanos_of_ms(every_ms)) * self.streams.faults.unit();
                    self.calendar.add(now + nanos(within), Event::Pause { effect, server });
                }
                What::Join => own.present = true,
                What::Leave => own.present = false,
                _ => {}
            }
            self.set_door(server);
            if described.what == What::Refuse {
                cut.extend(self.servers.cut(server, now));
            }
        }
        self.move_members(described.what);
        self.reset(cut);
    }

    pub(crate) fn end(&mut self, effect: u32) {
        let described = &self.scenario.effects[effect as usize];
        for &server in &described.servers {
            let own = self.servers.of_mut(server);
            own.effects.retain(|&active| active != effect);
            match described.what {
                What::Join => own.present = false,
                What::Leave => own.present = true,
                _ => {}
            }
            self.set_door(server);
        }
        self.move_members(described.what);
    }

    /// A server stands still for a while, and will again.
    pub(crate) fn pause(&mut self, effect: u32, server: u32) {
        let own = self.servers.of_mut(server);
        if !own.effects.contains(&effect) {
            return;
        }
        if let What::Pauses { every_ms, lasting_ms } = self.scenario.effects[effect as usize].what {
            let now = self.clock.now();
            own.pause(now + nanos_of_ms(lasting_ms), now);
            self.calendar.add(now + nanos_of_ms(every_ms), Event::Pause { effect, server });
        }
    }

    fn move_members(&mut self, what: What) {
        if matches!(what, What::Join | What::Leave) {
            self.seat_members();
        }
    }

    fn set_door(&mut self, server: u32) {
        let effects = &self.scenario.effects;
        let own = self.servers.of_mut(server);
        let has = |what| own.effects.iter().any(|&effect| effects[effect as usize].what == what);
        own.door = if has(What::Refuse) {
            Door::Refuses
        } else if has(What::Unreachable) {
            Door::Unreachable
        } else {
            Door::Open
        };
    }

    /// The server that had these died.
    fn reset(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            self.broken(task);
        }
    }
}
