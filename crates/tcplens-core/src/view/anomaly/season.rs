//! What is usual at this time of the day and of the week, as an offset in logarithms: by quarters of an hour, for jobs begin
//! at such. 1.8 KB. By UTC: when clocks change, what people do moves by an hour and is learnt anew.

/// Quarters of an hour in a day and in a week.
const DAY: usize = 96;
const WEEK: usize = 672;
/// Values are kept in this unit of logarithms: 0.05 %, to plus or minus 16.
const UNIT: f32 = 1.0 / 2048.0;
/// Samples that a slot of the day remembers: two weeks of them. Chosen: fits a byte.
const DAY_MEMORY: u8 = 210;
/// Samples that a slot of the week remembers: four weeks of them.
const WEEK_MEMORY: u8 = 60;
/// Samples of nothing that every slot begins with. What repeats only by week must repeat often before it is believed, unless
/// it is large.
const DAY_PRIOR: f32 = 3.0;
const WEEK_PRIOR: f32 = 30.0;
const WEEK_PRIOR_OF_LARGE: f32 = 3.0;

/// How a minute is learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// All of it.
    Normal,
    /// So large that a slot of the week believes it at once: a job of this hour, or it is gone. A fault does little harm
    /// there: that quarter of an hour of next week is less sensitive, once.
    Large,
    /// Nothing.
    None,
}

#[derive(Clone, Debug)]
pub(super) struct Season {
    day: [i16; DAY],
    week: [i16; WEEK],
    /// Samples of each slot of the day; of each two slots of the week it is one number for each.
    day_counts: [u8; DAY],
    week_counts: [u8; WEEK],
    /// The quarter since 1970 whose values are below, not rounded.
    quarter: i64,
    now: [f32; 2],
}

impl Default for Season {
    fn default() -> Season {
        Season {
            day: [0; DAY],
            week: [0; WEEK],
            day_counts: [0; DAY],
            week_counts: [0; WEEK],
            quarter: i64::MIN,
            now: [0.0; 2],
        }
    }
}

impl Season {
    /// What is usual at this minute, against the average.
    pub(super) fn at(&mut self, minute: i64) -> f64 {
        let quarter = minute.div_euclid(15);
        if quarter != self.quarter {
            self.put_back();
            self.quarter = quarter;
            let (day, week) = slots(quarter);
            self.now = [
                f32::from(self.day[day]) * UNIT,
                f32::from(self.week[week]) * UNIT,
            ];
        }
        f64::from(self.now[0] + self.now[1])
    }

    /// Whether this time of the day is new: then what is seen is no surprise.
    pub(super) fn is_new(&self) -> bool {
        self.day_counts[slots(self.quarter).0] < 30
    }

    /// Whether what is usual at this time of the week is above the average (or below it).
    pub(super) fn weekly(&self) -> f64 {
        f64::from(self.now[1])
    }

    /// Learns that at the minute of the last [`Season::at`] it was `off` more than it told.
    pub(super) fn learn(&mut self, off: f64, day: Lesson, week: Lesson) {
        let (day_slot, week_slot) = slots(self.quarter);
        let off = off as f32;
        if day != Lesson::None {
            let count = &mut self.day_counts[day_slot];
            self.now[0] += off / (f32::from(*count) + DAY_PRIOR + 1.0);
            *count = (*count + 1).min(DAY_MEMORY);
        }
        if week != Lesson::None {
            let count = &mut self.week_counts[week_slot];
            let weight = match week {
                Lesson::Large => f32::from((*count).min(15)) + WEEK_PRIOR_OF_LARGE,
                _ => f32::from(*count) + WEEK_PRIOR,
            };
            self.now[1] += off / (weight + 1.0);
            *count = (*count + 1).min(WEEK_MEMORY);
        }
    }

    fn put_back(&mut self) {
        if self.quarter == i64::MIN {
            return;
        }
        let (day, week) = slots(self.quarter);
        // A conversion saturates.
        self.day[day] = (self.now[0] / UNIT).round() as i16;
        self.week[week] = (self.now[1] / UNIT).round() as i16;
    }
}

fn slots(quarter: i64) -> (usize, usize) {
    let slot = |of: usize| {
        let length = i64::try_from(of).unwrap_or(1);
        usize::try_from(quarter.rem_euclid(length)).unwrap_or(0)
    };
    (slot(DAY), slot(WEEK))
}
