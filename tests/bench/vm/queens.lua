local function abs_of(n) if n < 0 then return -n end return n end
local function safe(rows, row, column)
  for c = 1, column do
    local r = rows[c]
    if r == row then return false end
    if abs_of(r - row) == column - c + 1 then return false end
  end
  return true
end
local function solve(rows, column, n)
  if column == n then return 1 end
  local found = 0
  local board = {table.unpack(rows)}
  for row = 0, n - 1 do
    if safe(board, row, column) then
      board[column + 1] = row
      found = found + solve(board, column + 1, n)
    end
  end
  return found
end
local start = {}
for i = 1, 11 do start[i] = 0 end
print(solve(start, 0, 11))
