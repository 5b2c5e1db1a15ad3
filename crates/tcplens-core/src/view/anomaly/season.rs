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
/// Of a weekday as a whole: hardly more than the last one.
const WEEKDAY_MEMORY: u16 = 1440;
const DAY_PRIOR: f32 = 3.0;
const WEEK_PRIOR: f32 = 30.0;
const WEEKDAY_PRIOR: f32 = 300.0;
const WEEK_PRIOR_OF_LARGE: f32 = 3.0;

/// How a minute is learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// All of it.
    Normal,
    /// All but the weekday as a whole.
    Creeping,
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
    weekday: [f32; 7],
    day_counts: [u8; DAY],
    week_counts: [u8; WEEK],
    weekday_counts: [u16; 7],
    /// The quarter since 1970 that is going on; what is expected of it (by day, week, weekday), which stays as it is until it
    /// is over; and what was learnt of it since.
    quarter: i64,
    expected: [f32; 3],
    learnt: [f32; 3],
}

impl Default for Season {
    fn default() -> Season {
        Season {
            day: [0; DAY],
            week: [0; WEEK],
            weekday: [0.0; 7],
            day_counts: [0; DAY],
            week_counts: [0; WEEK],
            weekday_counts: [0; 7],
            quarter: i64::MIN,
            expected: [0.0; 3],
            learnt: [0.0; 3],
        }
    }
}

impl Season {
    /// What is usual at this minute, against the average.
    pub(super) fn at(&mut self, minute: i64) -> f64 {
        let quarter = minute.div_euclid(15);
        if quarter != self.quarter {
            self.go_on(quarter);
        }
        self.expected.iter().map(|&part| f64::from(part)).sum()
    }

    /// Whether this time of the day is new: then what is seen is no surprise.
    pub(super) fn is_new(&self) -> bool {
        self.day_counts[slot(self.quarter, DAY)] < 30
    }

    /// Whether it is hardly known: then it is learnt as it is, for all of it may be usual.
    pub(super) fn is_young(&self) -> bool {
        self.day_counts[slot(self.quarter, DAY)] < 75
    }

    /// What is usual at this time of the week, against that of the day.
    pub(super) fn weekly(&self) -> f64 {
        f64::from(self.expected[1])
    }

    /// Learns that at the minute of the last [`Season::at`] it was `off` more than that told; of it, `today` is how much the
    /// last hours were off altogether: nothing that is usual at this time of the day.
    pub(super) fn learn(&mut self, off: f64, today: f64, day: Lesson, week: Lesson) {
        let today = if self.is_new() { 0.0 } else { today as f32 };
        let moved = |n: usize| self.learnt[n] - self.expected[n];
        // What a slot of the week believes at once is more than what others are told of a distance that large.
        let of_day = off as f32 - moved(0) - moved(2);
        let of_week = of_day - moved(1);
        let (day_slot, week_slot) = (slot(self.quarter, DAY), slot(self.quarter, WEEK));
        if day != Lesson::None {
            let count = &mut self.day_counts[day_slot];
            self.learnt[0] += (of_day - today) / (f32::from(*count) + DAY_PRIOR + 1.0);
            *count = (*count + 1).min(DAY_MEMORY);
        }
        if day == Lesson::Normal {
            let count = &mut self.weekday_counts[weekday(self.quarter)];
            self.learnt[2] += of_day / (f32::from(*count) + WEEKDAY_PRIOR + 1.0);
            *count = (*count + 1).min(WEEKDAY_MEMORY);
        }
        if week != Lesson::None {
            let count = &mut self.week_counts[week_slot];
            let weight = match week {
                Lesson::Large => f32::from((*count).min(5)) + WEEK_PRIOR_OF_LARGE,
                _ => f32::from(*count) + WEEK_PRIOR,
            };
            self.learnt[1] += (of_week - today) / (weight + 1.0);
            *count = (*count + 1).min(WEEK_MEMORY);
        }
    }

    fn go_on(&mut self, quarter: i64) {
        let before = weekday(self.quarter);
        if self.quarter != i64::MIN {
            // A conversion saturates.
            self.day[slot(self.quarter, DAY)] = (self.learnt[0] / UNIT).round() as i16;
            self.week[slot(self.quarter, WEEK)] = (self.learnt[1] / UNIT).round() as i16;
            self.weekday[before] = self.learnt[2];
        }
        self.quarter = quarter;
        let now = weekday(quarter);
        self.learnt = [
            f32::from(self.day[slot(quarter, DAY)]) * UNIT,
            f32::from(self.week[slot(quarter, WEEK)]) * UNIT,
            self.weekday[now],
        ];
        let of_today = self.expected[2];
        self.expected = self.learnt;
        // A day is not expected to be what it turns out to be.
        if now == before {
            self.expected[2] = of_today;
        }
    }
}

fn slot(quarter: i64, of: usize) -> usize {
    let length = i64::try_from(of).unwrap_or(1);
    usize::try_from(quarter.rem_euclid(length)).unwrap_or(0)
}

fn weekday(quarter: i64) -> usize {
    slot(quarter.div_euclid(96), 7)
}
