local sqrt = math.sqrt
local DAYS, SOLAR = 365.24, 39.47841760435743
local function body(x, y, z, vx, vy, vz, mass) return {x=x,y=y,z=z,vx=vx*DAYS,vy=vy*DAYS,vz=vz*DAYS,mass=mass*SOLAR} end
local bodies = {
  body(0,0,0,0,0,0,1),
  body(4.84143144246472090,-1.16032004402742839,-0.103622044471123109,0.00166007664274403694,0.00769901118419740425,-0.0000690460016972063023,0.000954791938424326609),
  body(8.34336671824457987,4.12479856412430479,-0.403523417114321381,-0.00276742510726411530,0.00499852801234917238,0.0000230417297573763929,0.000285885980666130812),
  body(12.8943695621391310,-15.1111514016986312,-0.223307578892655734,0.00296460137564761618,0.00237847173959480950,-0.0000296589568540237556,0.0000436624404335156298),
  body(15.3796971148509165,-25.9193146099879641,0.179258772950371181,0.00268067772490389322,0.00162824170038242295,-0.0000951592254519715870,0.0000515138902046611451),
}
local function energy(bodies)
  local e, n = 0.0, #bodies
  for i = 1, n do
    local b = bodies[i]
    e = e + 0.5 * b.mass * (b.vx * b.vx + b.vy * b.vy + b.vz * b.vz)
    for j = i + 1, n do
      local c = bodies[j]
      local dx, dy, dz = b.x - c.x, b.y - c.y, b.z - c.z
      e = e - b.mass * c.mass / sqrt(dx * dx + dy * dy + dz * dz)
    end
  end
  return e
end
local function simulate(bodies, steps, dt)
  local n = #bodies
  for step = 1, steps do
    for i = 1, n do
      local b = bodies[i]
      local bx, by, bz, bm = b.x, b.y, b.z, b.mass
      local vx, vy, vz = b.vx, b.vy, b.vz
      for j = i + 1, n do
        local c = bodies[j]
        local dx, dy, dz = bx - c.x, by - c.y, bz - c.z
        local d2 = dx * dx + dy * dy + dz * dz
        local mag = dt / (d2 * sqrt(d2))
        local m = c.mass * mag
        vx = vx - dx * m
        vy = vy - dy * m
        vz = vz - dz * m
        local k = bm * mag
        c.vx = c.vx + dx * k
        c.vy = c.vy + dy * k
        c.vz = c.vz + dz * k
      end
      b.vx = vx
      b.vy = vy
      b.vz = vz
      b.x = bx + dt * vx
      b.y = by + dt * vy
      b.z = bz + dt * vz
    end
  end
  return energy(bodies)
end
print(string.format("%.15g", simulate(bodies, 300000, 0.01)))
