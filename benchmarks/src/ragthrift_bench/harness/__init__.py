"""What every suite shares: rows, answer matching, statistics, results, journal, readers, charts and pages."""
